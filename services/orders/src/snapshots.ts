import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  CancelReason as CancelReasonV1,
  type Order as OrderV1,
  OrderSchema as OrderV1Schema,
  OrderState as OrderStateV1,
} from "@emporium/contracts/orders/v1";
import type { Order } from "@emporium/contracts/orders/v2";
import type { Addresses } from "./addresses.js";
import type {
  CancelReason as StoredCancelReason,
  OrderState as StoredOrderState,
} from "./generated/prisma/client.js";
import { toMinorUnits } from "./money.js";
import { orderMessage } from "./order-message.js";
import { toV1Order } from "./v1-message.js";

/**
 * What an order was like after a change is kept, and told by events, as an Order of v1: the previous
 * release runs beside this one, and reads both. What v2 tells beyond it stands in the order's row,
 * and the same values hold for each of its snapshots.
 */
export interface BesideSnapshot {
  /** The address as the row has it, for `Addresses`. */
  address: Uint8Array | null;
  tax_rate: number;
  status_time: Date;
  cancel_note: string;
}

/** A snapshot and what belongs to it. */
export interface SnapshotRow extends BesideSnapshot {
  snapshot: Uint8Array;
  /** The return that made the change, where one did. */
  return_id: string | null;
}

/** Columns of `orders` that make a `BesideSnapshot`. */
export const BESIDE_COLUMNS =
  "COALESCE(sealed_address, shipping_address) AS address, tax_rate, status_time, cancel_note";

/** Columns of `orders` and `order_changes` that make a `SnapshotRow`. */
export const SNAPSHOT_COLUMNS = `snapshot, return_id, ${BESIDE_COLUMNS}`;

/** The order as it is kept. The shipping address is not in it. */
export function snapshotOf(order: Order): Uint8Array<ArrayBuffer> {
  return toBinary(OrderV1Schema, toV1Order(order));
}

/** The order as its own customer sees it, from its snapshot. */
export function readSnapshot(row: SnapshotRow, addresses: Addresses): Order {
  return fromSnapshot(fromBinary(OrderV1Schema, row.snapshot), row, addresses);
}

/** The order as its own customer sees it, from a snapshot that an event told. */
export function fromSnapshot(
  snapshot: OrderV1,
  beside: Omit<SnapshotRow, "snapshot">,
  addresses: Addresses,
): Order {
  const { state, cancelReason, createTime, updateTime, total, refunded } = snapshot;
  const order = orderMessage(
    {
      orderId: snapshot.orderId,
      customerId: snapshot.customerId,
      state: OrderStateV1[state] as StoredOrderState,
      currency: total!.currencyCode,
      total: toMinorUnits(total!),
      refunded: toMinorUnits(refunded!),
      checkoutId: snapshot.checkoutId,
      createTime: timestampDate(createTime!),
      updateTime: timestampDate(updateTime!),
      revision: snapshot.revision,
      cancelReason: cancelReason ? (CancelReasonV1[cancelReason] as StoredCancelReason) : null,
      cancelNote: beside.cancel_note,
      statusTime: beside.status_time,
      taxRate: beside.tax_rate,
      lines: snapshot.lines.map((line, index) => ({
        lineNo: index + 1,
        sku: line.sku,
        title: line.title,
        quantity: line.quantity,
        unitPrice: toMinorUnits(line.unitPrice!),
        returnedQuantity: line.returnedQuantity,
      })),
    },
    beside.return_id ?? undefined,
  );
  return addresses.addTo(order, beside.address);
}
