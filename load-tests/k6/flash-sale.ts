import type { Options } from "k6/options";
import { grab } from "./customers.ts";
import { summaryTrendStats, thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";

export { handleSummary } from "./summary.ts";

const rate = settings.rate || 100;

/** Everybody wants the one product: a white hanging heart T-light holder, the month's best seller. */
const HOT = "85123A";

/** A thousand buyers and more for one product, of which the shop has less than they want. */
export const options: Options = {
  summaryTrendStats,
  scenarios: {
    buyers: {
      executor: "constant-arrival-rate",
      exec: "sale",
      rate,
      duration: `${settings.seconds || 20}s`,
      preAllocatedVUs: rate * 2,
      maxVUs: rate * 10,
    },
  },
  thresholds: thresholds(["CompleteOrder"], { slack: 2 }),
};

export function sale(): void {
  grab(HOT);
}
