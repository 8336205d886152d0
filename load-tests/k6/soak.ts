import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { steadyVisits } from "./visits.ts";

export { handleSummary } from "./summary.ts";
export { visit } from "./visits.ts";

/** An hour of half the usual load: what leaks, grows or expires shows. Tokens are renewed on the way. */
export const options = steadyVisits(
  settings.rate || 10,
  settings.seconds || 3600,
  thresholds([
    "ListProducts",
    "GetProduct",
    "CheckStock",
    "CompleteOrder",
    "GetOrder",
    "CancelOrder",
  ]),
);
