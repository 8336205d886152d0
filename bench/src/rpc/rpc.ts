import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type Bench, median, type Ratio, ratio, shown } from "../ratios.js";
import { load } from "./load.js";
import { type Scenario, scenarios } from "./subject.js";

/** Other ways to serve the same contract. */
const variants = ["engine", "bare", "proto-loader", "nest", "nice-grpc", "connect"] as const;
type Variant = (typeof variants)[number];

/** A measured round of one variant. */
interface Measure {
  cpuMicros: number;
  rate: number;
  p50Ms: number;
  p99Ms: number;
}

/** What the engine is wanted to be: RPCs (or messages) per CPU second over another's. */
const wanted: Partial<Record<Variant, Partial<Record<Scenario, number>>>> = {
  nest: { "order unary": 1.4, "server stream": 2, "client stream": 2, "bidi ping-pong": 2 },
  bare: { "order unary": 0.8 },
};

/** Operations after which the compiler has seen enough of a server: its first ones cost several times as much. */
const WARM = 20_000;

/**
 * Serves the same contract in several ways on one core and calls them in turn from another. A short run
 * (`--rounds 2 --seconds 0.3`) takes less than a minute; it warms up less, and its figures mean less.
 */
export const benchRpc: Bench = async ({ quick, rounds, seconds, progress }) => {
  rounds ??= quick ? 2 : 9;
  const milliseconds = (seconds ?? (quick ? 0.3 : 1)) * 1000;
  const pinned = pin(process.pid, 1);
  const servers = new Map<Variant, Server>();
  for (const variant of variants) servers.set(variant, await Server.start(variant));
  const measures = new Map<string, Measure[]>();
  try {
    for (const scenario of Object.keys(scenarios) as Scenario[])
      for (let round = 0; round <= rounds; round++) {
        for (const [variant, server] of servers) {
          if (round === 0) await server.warmUp(scenario, milliseconds, rounds).catch(() => {});
          else {
            const key = `${variant}/${scenario}`;
            const measure = await server.measure(scenario, milliseconds);
            measures.set(key, [...(measures.get(key) ?? []), measure]);
          }
        }
        progress(`${scenario}: ${round === 0 ? "warm" : `round ${round} of ${rounds}`}`);
      }
    const peaks = Object.fromEntries([...servers].map(([variant, { rss }]) => [variant, rss]));
    return report(measures, peaks, pinned);
  } finally {
    for (const server of servers.values()) server.stop();
  }
};

class Server {
  rss = 0;

  private constructor(
    private readonly process: ChildProcess,
    private readonly port: number,
  ) {}

  static async start(variant: Variant): Promise<Server> {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, `servers/${variant}.js`)],
      // What a server logs goes where a container's log would: written, not looked at.
      { stdio: ["ignore", "ignore", "inherit", "ipc"] },
    );
    pin(child.pid!, 0);
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return new Server(child, port);
  }

  /** Calls until the server is warm, for no longer than it is measured. */
  async warmUp(scenario: Scenario, milliseconds: number, rounds: number): Promise<void> {
    let done = 0;
    for (let round = 0; done < WARM && round < rounds; round++)
      done += (await load(this.port, scenario, milliseconds)).operations;
  }

  /** A round whose stream hung is measured again; a second time it is an error. */
  measure(scenario: Scenario, milliseconds: number): Promise<Measure> {
    const round = () => this.#round(scenario, milliseconds);
    return round().catch(round);
  }

  async #round(scenario: Scenario, milliseconds: number): Promise<Measure> {
    const before = await this.#usage();
    const { operations, seconds, p50Ms, p99Ms } = await load(this.port, scenario, milliseconds);
    const cpuMicros = ((await this.#usage()) - before) / operations;
    return { cpuMicros, rate: operations / seconds, p50Ms, p99Ms };
  }

  async #usage(): Promise<number> {
    this.process.send("usage");
    const [{ cpuMicros, rss }] = (await once(this.process, "message")) as [
      { cpuMicros: number; rss: number },
    ];
    this.rss = Math.max(this.rss, rss);
    return cpuMicros;
  }

  stop(): void {
    this.process.disconnect();
  }
}

/** Keeps a process on one core, where the system can. */
function pin(pid: number, core: number): boolean {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", String(core), String(pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function report(measures: Map<string, Measure[]>, peaks: Record<string, number>, pinned: boolean) {
  const ratios: Record<string, Ratio> = {};
  const figures: Record<string, Measure> = {};
  const lines = [
    `Server and load ${pinned ? "on cores of their own" : "NOT pinned: the figures are rough"}; Node ${process.version}`,
  ];
  for (const scenario of Object.keys(scenarios) as Scenario[]) {
    const cpu = (variant: Variant) =>
      measures.get(`${variant}/${scenario}`)!.map(({ cpuMicros }) => cpuMicros);
    lines.push("", row(scenario, COLUMNS, "engine's work per CPU second over it"));
    for (const variant of variants) {
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
        const compared = ratio(cpu(variant), cpu("engine"), wanted[variant]?.[scenario]);
        ratios[`engine over ${variant}, ${scenario}`] = compared;
        comparison = shown(compared);
      }
      lines.push(row(`  ${variant}`, shownFigures, comparison));
    }
  }
  const memory = Object.entries(peaks).map(
    ([variant, rss]) => `${variant} ${Math.round(rss / 1e6)}`,
  );
  lines.push("", `Peak memory in MB: ${memory.join(", ")}`);
  const data = { ratios, figures, node: process.version, pinned, peakBytes: peaks };
  return { text: lines.join("\n"), data };
}

const COLUMNS = ["CPU us/op", "ops/s", "p50 ms", "p99 ms"];

function row(name: string, columns: string[], end: string): string {
  return `${name.padEnd(16)}${columns.map((column) => column.padStart(10)).join("")}   ${end}`;
}

function medianOf(all: Measure[]): Measure {
  const middle = (pick: (measure: Measure) => number) => median(all.map(pick));
  return {
    cpuMicros: middle((measure) => measure.cpuMicros),
    rate: middle((measure) => measure.rate),
    p50Ms: middle((measure) => measure.p50Ms),
    p99Ms: middle((measure) => measure.p99Ms),
  };
}
