import { thresholds } from "./objectives.ts";
import { settings } from "./settings.ts";
import { steadyVisits } from "./visits.ts";

export { visit, warmUp } from "./customers.ts";

/**
 * The usual mix while the command kills and restarts servers. k6 does not retry as the engine's
 * clients do, so it sees what they would ask for again.
 */
export const { options, handleSummary } = steadyVisits(
  settings.rate || 10,
  settings.seconds || 60,
  thresholds([], { failures: 0.15, dropped: false }),
);
