import { grab, pause } from "./customers.ts";
import { thresholds } from "./objectives.ts";
import { script } from "./phases.ts";
import { settings } from "./settings.ts";

const rate = settings.rate || 40;

/** Everybody wants the one product: a white hanging heart T-light holder, the month's best seller. */
const HOT = "85123A";
/** A product that warms up the way to it, and that there is enough of. */
const OTHER = "22423";

/** A thousand buyers and more for one product, of which the shop has less than they want. */
export const { options, handleSummary } = script({
  scenarios: {
    buyers: {
      executor: "constant-arrival-rate",
      exec: "sale",
      rate,
      duration: `${settings.seconds || 30}s`,
      preAllocatedVUs: rate * 2,
      maxVUs: rate * 10,
    },
  },
  thresholds: thresholds(["CompleteOrder"], { slack: 2 }),
  warmUp: rate * 2,
});

export function sale(): void {
  grab(HOT);
}

export function warmUp(): void {
  grab(OTHER);
  pause();
}
