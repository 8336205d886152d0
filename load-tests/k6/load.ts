import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { steadyVisits } from "./visits.ts";

export { visit, warmUp } from "./customers.ts";

/**
 * The December mix at a constant arrival rate (an open model): visitors come whether or not the shop
 * is quick, so a slow answer is not hidden by fewer questions.
 */
export const { options, handleSummary } = steadyVisits(
  settings.rate || 20,
  settings.seconds || 120,
  thresholds([
    "ListProducts",
    "GetProduct",
    "CheckStock",
    "CompleteOrder",
    "GetOrder",
    "CancelOrder",
  ]),
);
