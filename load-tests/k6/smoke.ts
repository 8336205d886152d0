import { browse, buy } from "./customers.ts";
import { of, thresholds } from "./objectives.ts";
import { script } from "./phases.ts";
import { settings } from "./settings.ts";

export { browse, buy };

const scenario = (exec: string) => ({
  executor: "constant-arrival-rate" as const,
  exec,
  rate: 2,
  duration: `${settings.seconds || 20}s`,
  preAllocatedVUs: 10,
  maxVUs: 30,
});

/**
 * A little of everything: does it work at all? Machines that run it in CI are slow and shared, so it
 * asks for right answers and books that balance, and not for quick ones, and does not warm up.
 */
export const { options, handleSummary } = script({
  scenarios: { browse: scenario("browse"), buy: scenario("buy") },
  thresholds: {
    ...thresholds([], { dropped: false }),
    [of("CompleteOrder")]: [],
    [of("GetOrder")]: [],
    [of("CheckStock")]: [],
  },
});
