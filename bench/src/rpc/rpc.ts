import { join } from "node:path";
import { type Bench, cpuRatio, median, type Ratio, shown } from "../ratios.js";
import { where } from "../report.js";
import { cpuOf, type Measure, pin, ServerProcess } from "../server-process.js";
import { buildGoServer } from "./go-server.js";
import { load, type RoundSize } from "./load.js";
import { type Scenario, scenarios } from "./subject.js";

/** Other ways to serve the same contract. */
const variants = [
  "engine",
  "bare",
  "proto-loader",
  "nest",
  "nice-grpc",
  "connect",
  "grpc-go",
] as const;
type Variant = (typeof variants)[number];

/** What the engine is wanted to be: RPCs (or messages) per CPU second over another's. */
const wanted: Partial<Record<Variant, Partial<Record<Scenario, number>>>> = {
  nest: { "order unary": 1.4, "server stream": 2, "client stream": 2, "bidi ping-pong": 2 },
  bare: { "order unary": 0.8 },
};

/**
 * Serves the same contract in several ways on one core and calls them in turn from another. A short run
 * has shorter streams and warms up less, and its figures mean less.
 */
export const benchRpc: Bench = async ({ quick, rounds, seconds, progress }) => {
  rounds ??= quick ? 3 : 7;
  const messages = quick ? 1_000 : 10_000;
  const size: RoundSize = { milliseconds: (seconds ?? (quick ? 0.2 : 1)) * 1000, messages };
  const pinned = pin(process.pid, 1);
  using stack = new DisposableStack();
  const servers = new Map<Variant, ServerProcess>();
  for (const variant of variants) {
    const program = await programOf(variant, progress);
    if (program === undefined) continue;
    const server = await ServerProcess.start({ program, streamMessages: messages });
    servers.set(variant, stack.use(server));
  }
  const measures = new Map<string, Measure[]>();
  for (const scenario of Object.keys(scenarios) as Scenario[])
    for (let round = 0; round <= rounds; round++) {
      for (const [variant, server] of servers) {
        const call = (port: number) => load(port, scenario, size);
        if (round === 0) await server.warmUp(call);
        else {
          const key = `${variant}/${scenario}`;
          measures.set(key, [...(measures.get(key) ?? []), await server.measure(call)]);
        }
      }
      progress(`${scenario}: ${round === 0 ? "warm" : `round ${round} of ${rounds}`}`);
    }
  const peaks = new Map([...servers].map(([variant, { rss }]) => [variant, rss]));
  return report(measures, peaks, pinned);
};

/** What to start; nothing where there is no Go. */
function programOf(variant: Variant, progress: (line: string) => void) {
  if (variant === "grpc-go") return buildGoServer(progress);
  return join(import.meta.dirname, `servers/${variant}.js`);
}

function report(measures: Map<string, Measure[]>, peaks: Map<Variant, number>, pinned: boolean) {
  const ratios: Record<string, Ratio> = {};
  const figures: Record<string, Measure> = {};
  const lines = [where(pinned)];
  for (const scenario of Object.keys(scenarios) as Scenario[]) {
    const cpu = (variant: Variant) => cpuOf(measures.get(`${variant}/${scenario}`)!);
    lines.push("", row(scenario, COLUMNS, "engine's work per CPU second over it"));
    for (const variant of peaks.keys()) {
      const middle = medianOf(measures.get(`${variant}/${scenario}`)!);
      figures[`${variant}, ${scenario}`] = middle;
      const { cpuMicros, rate, p50Ms, p99Ms } = middle;
      const shownFigures = [
        cpuMicros.toFixed(1),
        rate.toFixed(0),
        p50Ms.toFixed(2),
        p99Ms.toFixed(2),
      ];
      let comparison = "";
      if (variant !== "engine") {
        const compared = cpuRatio(cpu(variant), cpu("engine"), wanted[variant]?.[scenario]);
        ratios[`engine over ${variant}, ${scenario}`] = compared;
        comparison = shown(compared);
      }
      lines.push(row(`  ${variant}`, shownFigures, comparison));
    }
  }
  const memory = [...peaks].map(([variant, rss]) => `${variant} ${Math.round(rss / 1e6)}`);
  lines.push("", `Peak memory in MB: ${memory.join(", ")}`);
  const data = {
    ratios,
    figures,
    node: process.version,
    pinned,
    peakBytes: Object.fromEntries(peaks),
  };
  return { text: lines.join("\n"), data };
}

const COLUMNS = ["CPU us/op", "ops/s", "p50 ms", "p99 ms"];

function row(name: string, columns: string[], end: string): string {
  return `${name.padEnd(16)}${columns.map((column) => column.padStart(10)).join("")}   ${end}`;
}

function medianOf(all: Measure[]): Measure {
  const middle = (pick: (measure: Measure) => number) => median(all.map(pick));
  const counted = all[0]?.instructions !== undefined;
  return {
    ...(counted && { instructions: middle(({ instructions = NaN }) => instructions) }),
    cpuMicros: middle((measure) => measure.cpuMicros),
    rate: middle((measure) => measure.rate),
    p50Ms: middle((measure) => measure.p50Ms),
    p99Ms: middle((measure) => measure.p99Ms),
  };
}
