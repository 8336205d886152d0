import { ConnectError } from "@connectrpc/connect";
import { StockChangeCause, type StockLine } from "@emporium/contracts/inventory/v1";
import type { ItemsReturned, OrderCancelled } from "@emporium/contracts/orders/v1";
import type { Tx } from "@emporium/database";
import { relatedId } from "@emporium/runtime";
import { Injectable } from "@nestjs/common";
import type { PrismaClient } from "./generated/prisma/client.js";
import { Reservations } from "./reservations.js";
import { Stock, stockChanged } from "./stock.js";

type Line = Pick<StockLine, "sku" | "quantity">;

/**
 * Puts goods back that customers do not keep. Runs in the transaction of an event's consumer, whose
 * inbox sees to it that it happens once.
 */
@Injectable()
export class ReturnedGoods {
  constructor(private readonly reservations: Reservations) {}

  /**
   * An order is off. What its checkout had bought comes back; what it had only reserved is released,
   * so that a commit which is still on its way sells nothing. An order without a reservation was
   * taken over from older books: its goods come back as well.
   */
  async orderCancelled(tx: Tx<PrismaClient>, { order }: OrderCancelled): Promise<void> {
    if (!order) throw new Error("OrderCancelled names no order");
    const id = relatedId("rsv", order.checkoutId);
    const [ended] = await this.reservations.settle(tx, [{ kind: "release", id }]);
    // a reservation that was sold cannot be released; one that never was has no lines
    const left = ended instanceof ConnectError || ended?.lines.length === 0;
    if (left) await putBack(tx, StockChangeCause.ORDER_CANCELLED, order.orderId, order.lines);
  }

  /** Goods came back, of an order or without one. */
  async itemsReturned(tx: Tx<PrismaClient>, event: ItemsReturned): Promise<void> {
    if (!event.return) throw new Error("ItemsReturned names no return");
    const { returnId, lines } = event.return;
    await putBack(tx, StockChangeCause.ITEMS_RETURNED, returnId, lines);
  }
}

/** Throws where a product does not exist: someone has to look, so the event becomes a dead letter. */
async function putBack(
  tx: Tx<PrismaClient>,
  cause: StockChangeCause,
  id: string,
  lines: Line[],
): Promise<void> {
  const quantities = new Map<string, bigint>();
  for (const { sku, quantity } of lines)
    quantities.set(sku, (quantities.get(sku) ?? 0n) + quantity);
  const stock = new Stock();
  await stock.lock(tx, quantities.keys());
  for (const [sku, quantity] of quantities) stock.move(sku, { onHand: quantity });
  await stock.save(tx);
  tx.emit(stockChanged(cause, { id, version: 1 }, stock.changed()));
}
