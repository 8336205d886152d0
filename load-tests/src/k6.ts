import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { projectDirectory, resolveTool } from "@emporium/local";
import { logCpu, pin, type Processes } from "./cpu.js";

/** What k6 sums up of one metric. */
export interface Metric {
  type: "counter" | "gauge" | "rate" | "trend";
  values: Record<string, number>;
  thresholds?: Record<string, { ok: boolean }>;
}

/** One run of k6: what `k6/phases.ts` tells at its end, and what it cost. */
export interface Run {
  metrics: Record<string, Metric>;
  /** What was measured, warming up aside: for how long, and since when (milliseconds since the epoch). */
  measured: { seconds: number; fromMs: number };
  /** CPU seconds in that time, of `k6` too. */
  cpu: Record<string, number>;
}

/** k6 ends with this where a threshold was not kept (its errext/exitcodes). */
const THRESHOLDS_FAILED = 99;

/**
 * Runs a script of `k6/` to its end; its progress goes to standard error. Rejects where k6 itself
 * failed: a script with an error, a connection that cannot be made.
 */
export async function runK6(
  script: string,
  run: {
    environment: Record<string, string>;
    /** The folder for the summary and k6's own report. */
    folder: string;
    /** The core that k6 is kept on. */
    core: number | undefined;
    signal: AbortSignal;
    /** Whose CPU time is counted beside its own. */
    processes: () => Processes;
  },
): Promise<Run> {
  const k6 = await resolveTool("k6", { report: (line) => process.stderr.write(`${line}\n`) });
  const summaryFile = join(run.folder, `${script}.json`);
  const started = spawn(
    k6,
    ["run", "--address", "", join(projectDirectory, "load-tests/k6", `${script}.ts`)],
    {
      env: {
        ...process.env,
        K6_NO_USAGE_REPORT: "true",
        K6_WEB_DASHBOARD: "true",
        K6_WEB_DASHBOARD_PORT: "-1",
        K6_WEB_DASHBOARD_PERIOD: "1s",
        K6_WEB_DASHBOARD_EXPORT: join(run.folder, `${script}.html`),
        ...run.environment,
        SUMMARY: summaryFile,
      },
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  const stop = () => started.kill("SIGINT");
  run.signal.addEventListener("abort", stop);
  if (run.core !== undefined && started.pid) pin([started.pid], run.core);
  using cpu = logCpu(() => ({ ...run.processes(), k6: started.pid ?? 0 }));
  const [code] = (await once(started, "exit")) as [number | null];
  run.signal.removeEventListener("abort", stop);
  run.signal.throwIfAborted();
  if (code !== 0 && code !== THRESHOLDS_FAILED) throw new Error(`k6 ended with code ${code}`);
  const { metrics, measured } = JSON.parse(await readFile(summaryFile, "utf8")) as Run;
  return { metrics, measured, cpu: cpu.since(measured.fromMs) };
}
