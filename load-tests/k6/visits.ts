import type { Options } from "k6/options";
import { script } from "./phases.ts";

/** A scenario in which visitors come at a constant rate a second. */
export function steadyVisits(rate: number, seconds: number, thresholds: Options["thresholds"]) {
  return script({
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
    warmUp: rate * 2,
  });
}

/** A scenario in which the rate of visitors goes through stages: a rate, and its seconds. */
export function changingVisits(
  start: number,
  stages: [rate: number, seconds: number][],
  thresholds: Options["thresholds"],
) {
  const most = Math.max(...stages.map(([rate]) => rate));
  return script({
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
    // Those whom only the rush brings open their connections then, as they would.
    warmUp: start * 2,
  });
}
