import { EVENT_FAULT_POINTS } from "@emporium/events";
import { faultPointsOf } from "@emporium/grpc";

/** Where a process of orders can be made to fail; it takes no events in. */
export const faultPoints: readonly string[] = [
  ...faultPointsOf("CreateOrder", "CancelOrder", "ReturnItems"),
  ...EVENT_FAULT_POINTS.filter((name) => name.startsWith("relay.")),
];
