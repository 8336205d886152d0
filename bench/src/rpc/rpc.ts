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

/** Serves the same contract in six ways on one core and calls them in turn from another. */
export const benchRpc: Bench = async ({ quick, progress }) => {
  const rounds = quick ? 2 : 7;
  const milliseconds = quick ? 300 : 1_500;
  const pinned = pin(process.pid, 1);
  const servers = new Map<Variant, Server>();
  for (const variant of variants) servers.set(variant, await Server.start(variant));
  const measures = new Map<string, Measure[]>();
  try {
    for (const scenario of Object.keys(scenarios) as Scenario[])
      for (let round = -1; round < rounds; round++) {
        for (const [variant, server] of servers) {
          const measure = await server.measure(scenario, milliseconds);
          // The first round warms up.
          const key = `${variant}/${scenario}`;
          if (round >= 0) measures.set(key, [...(measures.get(key) ?? []), measure]);
        }
        progress(`${scenario}: round ${round + 1} of ${rounds}`);
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

  async measure(scenario: Scenario, milliseconds: number): Promise<Measure> {
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
  const of = (variant: Variant, scenario: Scenario) => measures.get(`${variant}/${scenario}`)!;
  const cpu = (variant: Variant, scenario: Scenario) =>
    of(variant, scenario).map(({ cpuMicros }) => cpuMicros);
  const ratios: Record<string, Ratio> = {};
  const lines = [
    `Server and load ${pinned ? "on cores of their own" : "NOT pinned: the figures are rough"}; Node ${process.version}`,
  ];
  for (const scenario of Object.keys(scenarios) as Scenario[]) {
    lines.push(
      "",
      `${scenario}${" ".repeat(18 - scenario.length)}CPU us/op   ops/s    p50 ms   p99 ms   engine's work per CPU second over it`,
    );
    for (const variant of variants) {
      const all = of(variant, scenario);
      const middle = (pick: (measure: Measure) => number) => median(all.map(pick));
      const compared =
        variant === "engine"
          ? undefined
          : ratio(cpu(variant, scenario), cpu("engine", scenario), wanted[variant]?.[scenario]);
      if (compared) ratios[`engine over ${variant}, ${scenario}`] = compared;
      lines.push(
        `  ${variant.padEnd(14)}${middle((m) => m.cpuMicros)
          .toFixed(1)
          .padStart(9)}` +
          `${middle((m) => m.rate)
            .toFixed(0)
            .padStart(9)}${middle((m) => m.p50Ms)
            .toFixed(2)
            .padStart(9)}` +
          `${middle((m) => m.p99Ms)
            .toFixed(2)
            .padStart(9)}   ${compared ? shown(compared) : ""}`,
      );
    }
  }
  lines.push(
    "",
    "Peak memory in MB: " +
      Object.entries(peaks)
        .map(([variant, rss]) => `${variant} ${Math.round(rss / 1e6)}`)
        .join(", "),
  );
  return { text: lines.join("\n"), data: { ratios, node: process.version, pinned, peaks } };
}
