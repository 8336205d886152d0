import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { steadyVisits } from "./visits.ts";

export { visit, warmUp } from "./customers.ts";

/** One step of the search for the knee: does the shop keep its objectives at this rate? */
export const { options, handleSummary } = steadyVisits(
  settings.rate,
  settings.seconds || 15,
  thresholds(["GetProduct", "CheckStock", "CompleteOrder", "GetOrder"], { failures: 0.01 }),
);
