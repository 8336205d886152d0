import { EVENT_FAULT_POINTS } from "@emporium/events";
import { faultPointsOf } from "@emporium/grpc";

/** Where a process of inventory can be made to fail. */
export const faultPoints: readonly string[] = [
  ...faultPointsOf("ReserveStock", "CommitReservation", "ReleaseReservation"),
  ...EVENT_FAULT_POINTS,
];
