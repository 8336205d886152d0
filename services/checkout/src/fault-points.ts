import { EVENT_FAULT_POINTS } from "@emporium/events";
import { faultPointsOf } from "@emporium/grpc";

/** What a checkout does to others and writes about itself, in the order of the saga. */
const DEEDS = [
  "start",
  "reserve",
  "authorize",
  "find-payment",
  "create-order",
  "commit-reservation",
  "capture",
  "complete",
  "turn-back",
  "call-off-order",
  "void",
  "release",
  "refuse",
] as const;

export type Deed = (typeof DEEDS)[number];

/** A named place in the saga, right before or after something that lasts. */
export type FaultPointName = `${"before" | "after"}-${Deed}`;

/** Where a process of checkout can be made to fail. */
export const faultPoints: readonly string[] = [
  ...DEEDS.flatMap((deed) => [`before-${deed}`, `after-${deed}`]),
  ...faultPointsOf("CompleteOrder"),
  ...EVENT_FAULT_POINTS,
];
