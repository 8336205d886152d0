import type { Options } from "k6/options";
import { visit } from "./customers.ts";
import { summaryTrendStats } from "./objectives.ts";

/** Options of a scenario in which visitors come at a constant rate a second. */
export function steadyVisits(
  rate: number,
  seconds: number,
  thresholds: Options["thresholds"],
): Options {
  return {
    summaryTrendStats,
    scenarios: {
      visits: {
        executor: "constant-arrival-rate",
        exec: "visit",
        rate,
        duration: `${seconds}s`,
        preAllocatedVUs: rate * 2,
        maxVUs: rate * 20,
      },
    },
    thresholds,
  };
}

/** Options of a scenario in which the rate of visitors goes through stages: a rate, and its seconds. */
export function changingVisits(
  start: number,
  stages: [rate: number, seconds: number][],
  thresholds: Options["thresholds"],
): Options {
  const most = Math.max(...stages.map(([rate]) => rate));
  return {
    summaryTrendStats,
    scenarios: {
      visits: {
        executor: "ramping-arrival-rate",
        exec: "visit",
        startRate: start,
        stages: stages.map(([target, seconds]) => ({ target, duration: `${seconds}s` })),
        preAllocatedVUs: most * 2,
        maxVUs: most * 20,
      },
    },
    thresholds,
  };
}

export { visit };
