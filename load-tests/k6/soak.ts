import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { steadyVisits } from "./visits.ts";

export { visit, warmUp } from "./customers.ts";

/** Half the usual load for long: what leaks, grows or expires shows. Tokens are renewed on the way. */
export const { options, handleSummary } = steadyVisits(
  settings.rate || 10,
  settings.seconds || 600,
  thresholds([
    "ListProducts",
    "GetProduct",
    "CheckStock",
    "CompleteOrder",
    "GetOrder",
    "CancelOrder",
  ]),
);
