import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectDirectory } from "@emporium/local";
import { resolveTool } from "@emporium/local/tools";
import { expect, test } from "vitest";
import type { LoadReport } from "../src/report.js";

const run = promisify(execFile);

/** The command behind `npm run load`, as it is built. */
const command = join(projectDirectory, "load-tests/dist/load.js");

test(
  "a shop under a little of everything answers rightly, its books agree, and the reports are written",
  { timeout: 600_000, retry: 0 },
  async ({ skip }) => {
    if (!existsSync(command)) throw new Error("This test runs what is built: npm run build");
    const k6 = await resolveTool("k6").catch((error: Error) => error);
    if (k6 instanceof Error) return skip(k6.message);

    const { stdout, stderr } = await run(process.execPath, [command, "smoke", "--json"], {
      env: { ...process.env, K6: k6 },
      maxBuffer: 16 * 1024 * 1024,
    });
    const report = JSON.parse(stdout.trim().split("\n").at(-1)!) as LoadReport;
    expect(report).toMatchObject({ scenario: "smoke", passed: true, failed: 0 });
    expect(report.methods["CompleteOrder"]?.calls).toBeGreaterThan(10);
    expect(report.audit).toMatchObject({ holds: true, differences: [] });

    const folder = /are in (\S+)/.exec(stderr)?.[1] ?? "";
    const written = (name: string) => readFileSync(join(folder, name), "utf8");
    expect(written("junit.xml")).toContain('<testcase name="the books agree"/>');
    expect(written("smoke.html")).toContain("<svg");
  },
);
