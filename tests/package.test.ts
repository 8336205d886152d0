import { execFile } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
/** What somebody installs who wants the engine and nothing else of this repository. */
const packages = ["contracts", "runtime", "codec", "http2", "grpc"];

interface Manifest {
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

/** A project that has the packed packages; what is others' it finds above itself. */
let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(root, "node_modules/.packed-"));
  for (const name of packages) {
    const { stdout } = await run(
      "npm",
      ["pack", "--json", "--ignore-scripts", `--pack-destination=${project}`],
      { cwd: join(root, "packages", name) },
    );
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const folder = join(project, "node_modules/@emporium", name);
    await mkdir(folder, { recursive: true });
    await run("tar", ["-xzf", join(project, filename), "-C", folder, "--strip-components=1"]);
  }
  writeFileSync(join(project, "package.json"), '{ "type": "module", "private": true }');
}, 60_000);
afterAll(() => rm(project, { recursive: true, force: true }));

const folderOf = (name: string) => join(project, "node_modules/@emporium", name);

test.each(packages)("the package %s has what it needs, and says what it does not bring", (name) => {
  const manifest = JSON.parse(
    readFileSync(join(folderOf(name), "package.json"), "utf8"),
  ) as Manifest;
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  const files = globSync("dist/**/*.js", { cwd: folderOf(name) });
  const imported = files.flatMap((file) =>
    [
      ...readFileSync(join(folderOf(name), file), "utf8").matchAll(
        /(?:^|\s)(?:from|import) ["']([^."'][^"']*)["']/gm,
      ),
    ].map(([, specifier]) => /^(@[^/]+\/)?[^/]+/.exec(specifier!)![0]),
  );
  const foreign = new Set(imported.filter((specifier) => !specifier.startsWith("node:")));
  expect(foreign.size > 0).toBe(declared.length > 0);
  expect([...foreign].filter((specifier) => !declared.includes(specifier))).toEqual([]);
  expect(globSync("**/*.test.*", { cwd: folderOf(name) })).toEqual([]);
});

test("a project of its own runs a server and a client from the packed packages", async () => {
  writeFileSync(
    join(project, "main.js"),
    `import { Health } from "@emporium/contracts/grpc/health/v1";
     import { createGrpcClient } from "@emporium/grpc";
     import { startTestServer } from "@emporium/grpc/testing";
     const server = await startTestServer();
     const health = createGrpcClient(Health, { address: server.address });
     console.log(import.meta.resolve("@emporium/grpc"), (await health.check({})).status);
     health[Symbol.dispose]();
     await server[Symbol.asyncDispose]();`,
  );
  const { stdout } = await run(process.execPath, ["main.js"], { cwd: project });
  expect(stdout).toContain("node_modules/@emporium/grpc/dist/index.js 1");
});

test("a project of its own compiles against the packed types", async () => {
  writeFileSync(
    join(project, "service.ts"),
    `import { Health } from "@emporium/contracts/grpc/health/v1";
     import { createGrpcClient, GrpcServer, type ServiceImpl } from "@emporium/grpc";
     const handlers: Partial<ServiceImpl<typeof Health>> = { check: () => ({ status: 1 }) };
     export const server = new GrpcServer({ listen: { host: "127.0.0.1", port: 0 } });
     server.addService(Health, handlers);
     using client = createGrpcClient(Health, {
       address: "dns:///health:50051",
       loadBalancing: { policy: "least_request" },
     });
     // @ts-expect-error a number is no name of a service
     await client.check({ service: 1 });`,
  );
  const options = [
    "--ignoreConfig",
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--module",
    "nodenext",
  ];
  const libraries = ["--target", "es2024", "--lib", "es2024,esnext.disposable", "--types", "node"];
  const tsc = join(root, "node_modules/.bin/tsc");
  await run(tsc, [...options, ...libraries, "service.ts"], { cwd: project }).catch(
    ({ stdout }: { stdout: string }) => expect.fail(stdout),
  );
});
