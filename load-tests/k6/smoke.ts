import type { Options } from "k6/options";
import { browse, buy } from "./customers.ts";
import { summaryTrendStats, thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";

export { handleSummary } from "./summary.ts";

const duration = `${settings.seconds || 20}s`;

/** Does it work at all, a little of everything. Machines that run it in CI are slow: no haste. */
export const options: Options = {
  summaryTrendStats,
  scenarios: {
    browse: {
      executor: "constant-arrival-rate",
      exec: "browse",
      rate: 2,
      duration,
      preAllocatedVUs: 5,
      maxVUs: 20,
    },
    buy: {
      executor: "constant-arrival-rate",
      exec: "buy",
      rate: 2,
      duration,
      preAllocatedVUs: 10,
      maxVUs: 30,
    },
  },
  thresholds: thresholds(["GetProduct", "CheckStock", "CompleteOrder", "GetOrder"], {
    slack: 10,
    dropped: false,
  }),
};

export { browse, buy };
