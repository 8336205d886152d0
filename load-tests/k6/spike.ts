import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { changingVisits } from "./visits.ts";

export { handleSummary } from "./summary.ts";
export { visit } from "./visits.ts";

const rate = settings.rate || 10;
const part = (settings.seconds || 90) / 9;

/**
 * Eight times as many visitors from one moment to the next, as when a newspaper writes about it. What
 * the shop cannot serve it refuses at once; what it takes in, it serves.
 */
export const options = changingVisits(
  rate,
  [
    [rate, part * 3],
    [rate * 8, 1],
    [rate * 8, part * 2],
    [rate, 1],
    [rate, part * 4],
  ],
  thresholds(["GetProduct", "CompleteOrder"], { slack: 6, failures: 0.05, dropped: false }),
);
