import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { resolveGoTool } from "@emporium/local/go-tools";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

// https://github.com/connectrpc/conformance: several hundred cases for a server and for a client, over
// plain connections and mTLS, each a call of one of the four kinds.
const root = join(import.meta.dirname, "../../../..");
let folder: string;

/** Most of the suite's time goes into these, on the runner's side. `CONFORMANCE=full` runs them too. */
const long: Record<string, string[]> = {
  server: ["Server Message Size/**/Compression:COMPRESSION_GZIP/**"],
  client: [],
};
const full = process.env["CONFORMANCE"] === "full";

/** The two programs that the suite talks to, and a way to start them, in a folder of their own. */
beforeAll(async () => {
  await mkdir(join(root, ".emporium"), { recursive: true });
  folder = await mkdtemp(join(root, ".emporium/conformance-"));
  const conditions = ["@emporium/source"];
  await build({
    configFile: false,
    logLevel: "warn",
    resolve: { conditions },
    ssr: { noExternal: [/^@emporium\//], resolve: { conditions } },
    build: {
      ssr: true,
      outDir: folder,
      target: "node24",
      rolldownOptions: {
        input: ["server", "client"].map((name) => join(import.meta.dirname, `${name}.ts`)),
      },
    },
  });
});
afterAll(() => rm(folder, { recursive: true }));

test.for(["server", "client"])(
  "the %s does as the gRPC conformance suite asks, but for what is known, and known for a reason",
  { timeout: 600_000 },
  async (mode, { skip }) => {
    const runner = await resolveGoTool("connectconformance").catch((error: Error) =>
      skip(error.message),
    );
    const program = join(folder, `run-${mode}`);
    await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${folder}/${mode}.js"\n`);
    await chmod(program, 0o755);
    const options = [
      ...["--mode", mode],
      ...["--conf", join(import.meta.dirname, "conformance.yaml")],
      ...["--known-failing", `@${join(import.meta.dirname, `known-failing-${mode}.txt`)}`],
      ...["--known-flaky", `@${join(import.meta.dirname, `known-flaky-${mode}.txt`)}`],
      ...["--max-servers", "2"],
      ...(full ? [] : long[mode]!.flatMap((pattern) => ["--skip", pattern])),
    ];
    const ended = await new Promise<{ code: number | null; said: string }>((resolve) => {
      const child = execFile(
        runner,
        [...options, "--", program],
        { maxBuffer: 1e8 },
        (_error, stdout, stderr) =>
          resolve({ code: child.exitCode, said: `${stdout}${stderr}`.slice(-4000) }),
      );
    });
    expect(ended, ended.said).toMatchObject({ code: 0 });
    expect(ended.said).toMatch(/Total cases: [345]\d\d\b/);
  },
);
