import type { Options } from "k6/options";
import { browse, buy } from "./customers.ts";
import { summaryTrendStats, thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";

export { handleSummary } from "./summary.ts";
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
 * asks for right answers and books that balance, and not for quick ones.
 */
export const options: Options = {
  summaryTrendStats,
  scenarios: { browse: scenario("browse"), buy: scenario("buy") },
  thresholds: {
    ...thresholds([], { dropped: false }),
    // Without a condition k6 sums up a method all the same.
    "rpc_duration{rpc:CompleteOrder}": [],
    "rpc_duration{rpc:GetOrder}": [],
    "rpc_duration{rpc:CheckStock}": [],
  },
};
