import { execFile } from "node:child_process";
import { join } from "node:path";
import { resolveGoTool } from "@emporium/local/go-tools";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle, type Programs } from "../bundle.js";

// https://github.com/connectrpc/conformance: several hundred cases for a server and for a client, over
// plain connections and mTLS, each a call of one of the four kinds.
let programs: Programs;

/** Most of the suite's time goes into these, on the runner's side. `CONFORMANCE=full` runs them too. */
const long: Record<string, string[]> = {
  server: ["Server Message Size/**/Compression:COMPRESSION_GZIP/**"],
  client: [],
};
const full = process.env["CONFORMANCE"] === "full";

beforeAll(async () => {
  programs = await bundle(import.meta.dirname, "server", "client");
});
afterAll(() => programs[Symbol.asyncDispose]());

test.for(["server", "client"])(
  "the %s does as the gRPC conformance suite asks, but for what is known, and known for a reason",
  { timeout: 600_000 },
  async (mode, { skip }) => {
    const runner = await resolveGoTool("connectconformance").catch((error: Error) =>
      skip(error.message),
    );
    const listed = (kind: string) => `@${join(import.meta.dirname, `known-${kind}-${mode}.txt`)}`;
    const options = Object.entries({
      "--mode": mode,
      "--conf": join(import.meta.dirname, "conformance.yaml"),
      "--known-failing": listed("failing"),
      "--known-flaky": listed("flaky"),
      "--max-servers": "2",
    }).flat();
    if (!full) for (const pattern of long[mode]!) options.push("--skip", pattern);
    const ended = await new Promise<{ code: number | null; said: string }>((resolve) => {
      const child = execFile(
        runner,
        [...options, "--", process.execPath, programs.pathOf(mode)],
        { maxBuffer: 1e8 },
        (_error, stdout, stderr) =>
          resolve({ code: child.exitCode, said: `${stdout}${stderr}`.slice(-4000) }),
      );
    });
    expect(ended.said).toMatch(/Total cases: [345]\d\d\b/);
    expect(ended.code === 0 ? "passed" : ended.said).toBe("passed");
  },
);
