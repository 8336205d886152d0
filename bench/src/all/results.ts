import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { noInstructions } from "../instructions.js";
import type { BenchReport } from "../ratios.js";

/** What `bench/results/<date>.json` holds. */
export interface Results {
  /** When it began, RFC 3339. */
  time: string;
  /** Whether the runs were short, and their figures mean less. */
  quick: boolean;
  machine: Machine;
  benches: Record<string, Run>;
}

/** One bench. */
export interface Run {
  seconds: number;
  /** Processes that ran or waited, on average over 1, 5 and 15 minutes, before and after. */
  loadBefore: number[];
  loadAfter: number[];
  /** What `--json` prints, or why there is nothing. */
  report?: BenchReport["data"];
  failure?: string;
}

interface Machine {
  cores: number;
  model: string;
  memoryBytes: number;
  kernel: string;
  node: string;
  /** Why no instructions were counted; absent where they were. */
  noInstructions?: string | undefined;
}

export function thisMachine(): Machine {
  return {
    cores: availableParallelism(),
    model: cpus()[0]?.model.trim() ?? "unknown",
    memoryBytes: totalmem(),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    noInstructions: noInstructions(),
  };
}

/** Load averages, as they are told: two digits. */
export function load(): number[] {
  return loadavg().map((average) => Math.round(average * 100) / 100);
}

/** The results that were committed last; `undefined` where there are none. */
export function committedResults(root: string): { file: string; results: Results } | undefined {
  const git = (...command: string[]) =>
    execFileSync("git", command, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
  const files = git("ls-tree", "--name-only", "HEAD", "bench/results/").split("\n");
  const file = files
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .at(-1);
  return file === undefined
    ? undefined
    : { file, results: JSON.parse(git("show", `HEAD:${file}`)) };
}
