import { join } from "node:path";
import { inTurn } from "../in-turn.js";
import { type Bench, cpuRatio, median, type Ratio, shown } from "../ratios.js";
import { where } from "../report.js";
import { load } from "../rpc/load.js";
import { cpuOf, pin, ServerProcess } from "../server-process.js";

const scenarios = ["small unary", "order unary", "server stream"] as const;

/** What is on, by the name of the variant. */
const variants = {
  none: [],
  metrics: ["metrics"],
  log: ["log"],
  all: ["metrics", "log"],
  sampled: ["sampled"],
  traced: ["traced"],
};

/**
 * What it costs a call to be counted, logged and traced: the same engine with none of it, each, and both
 * observers; `sampled` is a trace of one call in a hundred, `traced` of each.
 */
export const benchTelemetry: Bench = async ({
  quick,
  rounds = quick ? 2 : 7,
  seconds = quick ? 0.3 : 0.7,
  progress,
}) => {
  const pinned = pin(process.pid, 1);
  const program = join(import.meta.dirname, "server.js");
  using stack = new DisposableStack();
  const servers = {} as Record<keyof typeof variants, ServerProcess>;
  for (const [name, observers] of Object.entries(variants)) {
    const start = { program, arguments: observers, streamMessages: quick ? 1_000 : 10_000 };
    servers[name as keyof typeof variants] = stack.use(await ServerProcess.start(start));
  }
  const ratios: Record<string, Ratio> = {};
  const lines = [where(pinned), "Server CPU for a call, or a message of a stream"];
  for (const scenario of scenarios) {
    const call = (port: number) => load(port, scenario, { milliseconds: seconds * 1000 });
    if (!quick) for (const server of Object.values(servers)) await server.warmUp(call);
    const { none, ...others } = await inTurn(
      {
        none: { server: servers.none, call },
        metrics: { server: servers.metrics, call },
        log: { server: servers.log, call },
        all: { server: servers.all, call },
        sampled: { server: servers.sampled, call },
        traced: { server: servers.traced, call },
      },
      rounds,
      (round) => progress(`${scenario}: ${round}`),
    );
    lines.push("", scenario, `  ${"none".padEnd(8)} ${median(cpuOf(none)).toFixed(1)} us`);
    for (const [name, measures] of Object.entries(others)) {
      const compared = cpuRatio(cpuOf(none), cpuOf(measures));
      ratios[`calls a CPU second, ${name} over none, ${scenario}`] = compared;
      const extra = cpuOf(measures).map((micros, round) => micros - cpuOf(none)[round]!);
      lines.push(
        `  ${name.padEnd(8)} ${median(cpuOf(measures)).toFixed(1)} us, ${median(extra).toFixed(1)} more: ${shown(compared)}`,
      );
    }
  }
  return { text: lines.join("\n"), data: { ratios, node: process.version, pinned } };
};
