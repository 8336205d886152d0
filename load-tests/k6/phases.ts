import type { Options, Scenario } from "k6/options";
import { settings } from "./settings.ts";

/** The tag of what is measured: objectives are asked of it, and of nothing else. */
export const MEASURED = "phase:measured";

/** Seconds between warming up and measuring, in which what is under way comes to its end. */
const REST_S = 5;

/** All that k6 has measured; of it, for how long it ran. */
export interface Told {
  state: { testRunDurationMs: number };
}

/** What a script exports for k6. */
export interface Script {
  options: Options;
  handleSummary: (data: Told) => Record<string, string> | undefined;
}

/**
 * A script that warms the shop up first, and measures `scenarios` after that. A process that has just
 * begun has compiled nothing, prepared no statement and opened no connection, and takes several times
 * the CPU for a call: that is a cost of deploying, not of the load. The customers who warm up wait for
 * their answers (a closed model), so that a machine of any speed is busy and none is flooded; k6 uses
 * them and their connections again for what is measured.
 *
 * @example
 * export const { options, handleSummary } = script({ scenarios, thresholds, warmUp });
 */
export function script({
  scenarios,
  thresholds,
  warmUp,
}: {
  scenarios: Record<string, Scenario>;
  thresholds: Options["thresholds"];
  /** So many customers do the script's `warmUp` again and again; without them, the shop is taken as it is. */
  warmUp?: number;
}): Script {
  const warming = warmUp && settings.warmUp > 0;
  const after = warming ? settings.warmUp + REST_S : 0;
  const measured = Object.entries(scenarios).map(([name, scenario]) => [
    name,
    { ...scenario, startTime: `${after}s`, tags: { phase: "measured" } },
  ]);
  return {
    options: {
      summaryTrendStats: ["count", "avg", "min", "med", "p(95)", "p(99)", "max"],
      scenarios: {
        ...(warming && {
          warm_up: {
            executor: "constant-vus" as const,
            exec: "warmUp",
            vus: warmUp,
            duration: `${settings.warmUp}s`,
            gracefulStop: `${REST_S}s`,
            tags: { phase: "warm-up" },
          },
        }),
        ...(Object.fromEntries(measured) as Record<string, Scenario>),
      },
      // Without a condition k6 sums up a metric all the same.
      thresholds: { ...thresholds, [`rpc_duration{${MEASURED}}`]: [] },
    },
    /** Writes all that k6 has measured where the command reads it; what people read is made there. */
    handleSummary(data) {
      if (!settings.summary) return undefined;
      const seconds = data.state.testRunDurationMs / 1000 - after;
      const measured = { seconds, fromMs: Date.now() - seconds * 1000 };
      return { [settings.summary]: JSON.stringify({ ...data, measured }) };
    },
  };
}
