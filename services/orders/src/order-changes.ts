import type { OutboxRow, Tx } from "@emporium/database";
import type { Order } from "@emporium/contracts/orders/v2";
import type { PrismaClient } from "./generated/prisma/client.js";
import { type AddressColumns, orderMessage, type OrderRow } from "./order-message.js";
import { snapshotOf } from "./snapshots.js";

/**
 * Locks an order until the transaction ends and reads it; `undefined` where there is none.
 *
 * Two statements on purpose: a locking read that had to wait sees the newest version of the rows it
 * locks, but everything it joins as of its own start, so lines read along would be out of date.
 */
export async function lockOrder(
  tx: Tx<PrismaClient>,
  orderId: string,
): Promise<(OrderRow & AddressColumns) | undefined> {
  await tx.query("SELECT FROM orders WHERE order_id = $1 FOR UPDATE", [orderId]);
  const row = await tx.order.findUnique({
    where: { orderId },
    include: { lines: { orderBy: { lineNo: "asc" } } },
  });
  return row ?? undefined;
}

/**
 * Writes one change of a locked order: its row, the snapshot for its watchers, the event.
 *
 * `before` is what `lockOrder` gave, `change` what differs; the lines have been written by then.
 * Returns the order as it is now, without its address.
 */
export async function recordChange(
  tx: Tx<PrismaClient>,
  before: OrderRow,
  change: Partial<Pick<OrderRow, "state" | "refunded" | "cancelReason" | "cancelNote" | "lines">>,
  by: { now: Date; returnId?: string; event: (order: Order) => OutboxRow },
): Promise<Order> {
  // Clocks of two replicas may differ; time as the order tells it does not run backwards.
  const updateTime = by.now > before.updateTime ? by.now : before.updateTime;
  const moved = change.state !== undefined && change.state !== before.state;
  const after: OrderRow = {
    ...before,
    ...change,
    revision: before.revision + 1n,
    updateTime,
    statusTime: moved ? updateTime : before.statusTime,
  };
  const { orderId, state, statusTime, refunded, cancelReason, cancelNote, revision } = after;
  await tx.order.update({
    where: { orderId },
    data: { state, statusTime, refunded, cancelReason, cancelNote, revision, updateTime },
  });
  const order = orderMessage(after, by.returnId);
  await tx.orderChange.create({
    data: {
      orderId,
      revision,
      snapshot: snapshotOf(order),
      returnId: by.returnId ?? null,
    },
  });
  tx.emit(by.event(order));
  return order;
}
