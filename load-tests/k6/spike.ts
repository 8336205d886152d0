import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { changingVisits } from "./visits.ts";

export { visit, warmUp } from "./customers.ts";

const rate = settings.rate || 10;
const part = (settings.seconds || 90) / 9;

/**
 * Five times as many visitors from one moment to the next, as when a newspaper writes about it. What
 * the shop cannot serve it refuses at once; what it takes in, it serves.
 */
export const { options, handleSummary } = changingVisits(
  rate,
  [
    [rate, part * 3],
    [rate * 5, 1],
    [rate * 5, part * 2],
    [rate, 1],
    [rate, part * 4],
  ],
  thresholds(["GetProduct", "CompleteOrder"], { slack: 6, failures: 0.05, dropped: false }),
);
