import { newId } from "@emporium/runtime";
import type { Line } from "./orders.js";

export type WayName = "interactive" | "one statement" | "grouped";

/** A way to reserve, on a database of its own with the tables of inventory. */
export interface Way extends AsyncDisposable {
  /** Reserves all lines or none under a new id, with the event that tells of it. */
  reserve(lines: Line[]): Promise<unknown>;
}

/** As many connections as the service has by default. */
export const CONNECTIONS = 10;

/** How long a reservation holds, in milliseconds: the service's default. */
export const TTL_MS = 15 * 60_000;

export const newReservationId = () => newId("rsv");

/** By bytes, so that two orders never lock the same products in opposite order. */
export function sorted(lines: Line[]): Line[] {
  return lines.toSorted((one, other) => (one.sku < other.sku ? -1 : 1));
}
