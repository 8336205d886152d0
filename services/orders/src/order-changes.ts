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
  const locked = await tx.query(
    "SELECT FROM orders WHERE order_id = $1 AND revision > 0 FOR UPDATE",
    [orderId],
  );
  if (locked.length === 0) return undefined;
  const row = await tx.order.findUnique({
    where: { orderId },
    include: { lines: { orderBy: { lineNo: "asc" } } },
  });
  return row ?? undefined;
}

/**
 * Closes an id under which no order was placed, and none will be: a row of revision 0, which has no
 * lines, no snapshot and no event, so that nobody ever sees an order of it. False if an order has the
 * id.
 */
export async function closeOrderId(
  tx: Tx<PrismaClient>,
  orderId: string,
  now: Date,
): Promise<boolean> {
  await tx.query(CLOSE_ID, [orderId, now]);
  const [row] = await tx.query<{ revision: bigint }>(
    "SELECT revision FROM orders WHERE order_id = $1",
    [orderId],
  );
  return row?.revision === 0n;
}

/** An order that is being placed at the same moment is waited for. */
const CLOSE_ID = `
  INSERT INTO orders (order_id, customer_id, state, currency, total, checkout_id, create_time,
                      update_time, status_time, revision, cancel_reason, content_hash)
  VALUES ($1, '', 'CANCELLED', 'XXX', 0, '', $2, $2, $2, 0, 'CHECKOUT_FAILED', '')
  ON CONFLICT (order_id) DO NOTHING`;

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
