import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { steadyVisits } from "./visits.ts";

export { handleSummary } from "./summary.ts";
export { visit } from "./visits.ts";

/** One step of the search for the knee: does the shop keep its objectives at this rate? */
export const options = steadyVisits(
  settings.rate,
  settings.seconds || 15,
  thresholds(["GetProduct", "CheckStock", "CompleteOrder", "GetOrder"], { failures: 0.01 }),
);
