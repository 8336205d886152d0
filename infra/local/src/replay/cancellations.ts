import { type Amount, billionths, type Invoice, type InvoiceLine, totalOf } from "./invoices.js";

/** An order of the file that the shop accepted, with the units that have not come back yet. */
export interface OpenOrder {
  orderId: string;
  lines: InvoiceLine[];
  remaining: bigint[];
}

/** What a cancellation comes to: which order its goods are of, if any, and which goods. */
export interface ReturnPlan {
  order: OpenOrder | undefined;
  lines: InvoiceLine[];
  /** Whether it is the whole order, of which nothing has come back before. */
  whole: boolean;
}

/**
 * Finds the order that a cancellation is about: the latest of the customer's that still has all of
 * its goods, at their prices. The file does not say it, so many cancellations have none; those are
 * returns without an order.
 */
export function planReturn(cancellation: Invoice, orders: OpenOrder[]): ReturnPlan {
  const lines = cancellation.lines.map((line) => ({ ...line, quantity: -line.quantity }));
  for (const order of orders.toReversed()) {
    const remaining = taken(order, lines);
    if (!remaining) continue;
    const untouched = order.remaining.every((units, at) => units === order.lines[at]!.quantity);
    order.remaining = remaining;
    return { order, lines, whole: untouched && remaining.every((units) => units === 0n) };
  }
  return { order: undefined, lines, whole: false };
}

/** What is left of an order without these goods; `undefined` where it does not have them all. */
function taken(order: OpenOrder, goods: InvoiceLine[]): bigint[] | undefined {
  const remaining = [...order.remaining];
  for (const { sku, unitPrice, quantity } of goods) {
    let wanted = quantity;
    if (wanted <= 0n) return undefined;
    for (const [at, line] of order.lines.entries()) {
      if (line.sku !== sku || billionths(line.unitPrice) !== billionths(unitPrice)) continue;
      const units = remaining[at]! < wanted ? remaining[at]! : wanted;
      remaining[at] = remaining[at]! - units;
      wanted -= units;
    }
    if (wanted > 0n) return undefined;
  }
  return remaining;
}

/** Whether the shop pays back what the file says. */
export function refundIsRight(refund: Amount | undefined, lines: InvoiceLine[]): boolean {
  return billionths(refund) === totalOf(lines);
}
