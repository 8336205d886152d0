import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { changingVisits } from "./visits.ts";

export { visit, warmUp } from "./customers.ts";

const rate = settings.rate || 20;
const step = (settings.seconds || 240) / 6;

/** Towards the knee in steps, two and a half times the usual load, and back: slower, but right. */
export const { options, handleSummary } = changingVisits(
  rate,
  [1, 2, 2, 2.5, 2.5, 1].map((times) => [Math.round(rate * times), step]),
  thresholds(["GetProduct", "CheckStock", "CompleteOrder", "GetOrder"], {
    slack: 4,
    failures: 0.01,
    dropped: false,
  }),
);
