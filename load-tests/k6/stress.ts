import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { changingVisits } from "./visits.ts";

export { handleSummary } from "./summary.ts";
export { visit } from "./visits.ts";

const rate = settings.rate || 20;
const step = (settings.seconds || 240) / 6;

/** Up to three times the usual load in steps, and back: slower, but right, and well again after. */
export const options = changingVisits(
  rate,
  [1, 2, 2, 3, 3, 1].map((times) => [rate * times, step]),
  thresholds(["GetProduct", "CheckStock", "CompleteOrder", "GetOrder"], {
    slack: 4,
    failures: 0.01,
    dropped: false,
  }),
);
