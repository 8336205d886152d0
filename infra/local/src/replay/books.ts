import type { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderState, type OrderService } from "@emporium/contracts/orders/v1";
import type { Client } from "@emporium/grpc";
import type { Difference } from "../audit/differences.js";
import { billionths, type InvoiceLine, totalOf } from "./invoices.js";

/** What the shop must say when it is asked, kept beside it from what it accepted. */
export class Books {
  /** Units that were loaded, by SKU. */
  readonly loaded = new Map<string, bigint>();
  #sold = new Map<string, bigint>();
  #returned = new Map<string, bigint>();
  /** What each order must come to, in billionths. */
  readonly totals = new Map<string, bigint>();
  /** What each order must have been paid back, in billionths. */
  readonly refunds = new Map<string, bigint>();
  readonly cancelled = new Set<string>();

  sold(orderId: string, lines: InvoiceLine[]): void {
    this.totals.set(orderId, totalOf(lines));
    for (const { sku, quantity } of lines) add(this.#sold, sku, quantity);
  }

  returned(orderId: string | undefined, lines: InvoiceLine[], whole: boolean): void {
    for (const { sku, quantity } of lines) add(this.#returned, sku, quantity);
    if (!orderId) return;
    if (whole) this.cancelled.add(orderId);
    else add(this.refunds, orderId, totalOf(lines));
  }

  /** Units that must be there: loaded, less sold, plus what came back. */
  expected(sku: string): bigint {
    const at = (map: Map<string, bigint>) => map.get(sku) ?? 0n;
    return at(this.loaded) - at(this.#sold) + at(this.#returned);
  }

  /** Units of all products: loaded, sold, and back. */
  units(): { loaded: bigint; sold: bigint; returned: bigint } {
    return { loaded: sum(this.loaded), sold: sum(this.#sold), returned: sum(this.#returned) };
  }

  /** What all orders came to, in billionths. */
  turnover(): bigint {
    return sum(this.totals);
  }
}

/** Compares every order of the shop with the books: none too many, none missing, each to the penny. */
export async function compareOrders(
  orders: Client<typeof OrderService>,
  books: Books,
): Promise<Difference[]> {
  const differences: Difference[] = [];
  const missing = new Set(books.totals.keys());
  const check = (what: string, expected: unknown, found: unknown) => {
    if (expected !== found)
      differences.push({ what, expected: String(expected), found: String(found) });
  };
  for await (const { order } of orders.exportOrders({})) {
    if (!order) continue;
    const { orderId } = order;
    missing.delete(orderId);
    check(`total of ${orderId}`, books.totals.get(orderId), billionths(order.total));
    check(`refund of ${orderId}`, books.refunds.get(orderId) ?? 0n, billionths(order.refunded));
    check(
      `cancellation of ${orderId}`,
      books.cancelled.has(orderId),
      order.state === OrderState.CANCELLED,
    );
  }
  for (const orderId of missing) check(orderId, "an order", "none");
  return differences;
}

/**
 * Compares every level with the books. Goods come back by events, so it watches until all levels
 * are as they must be, for as long as they keep changing and at most `patienceMs` after the last.
 */
export async function compareStock(
  inventory: Client<typeof InventoryService>,
  books: Books,
  patienceMs = 30_000,
): Promise<Difference[]> {
  const wrong = new Map<string, Difference>();
  const patience = new AbortController();
  const giveUp = () => patience.abort();
  let timer = setTimeout(giveUp, patienceMs);
  try {
    for await (const message of inventory.watchStock({}, { signal: patience.signal })) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, patienceMs);
      for (const { sku, onHand, reserved } of message.levels) {
        const expected = books.expected(sku);
        if (onHand === expected && reserved === 0n) wrong.delete(sku);
        else
          wrong.set(sku, {
            what: `stock of ${sku}`,
            expected: `${expected}, none of it reserved`,
            found: `${onHand}, ${reserved} of it reserved`,
          });
      }
      if (message.caughtUp && wrong.size === 0) break;
    }
  } catch (error) {
    if (!patience.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return [...wrong.values()];
}

function add(map: Map<string, bigint>, key: string, value: bigint): void {
  map.set(key, (map.get(key) ?? 0n) + value);
}

function sum(map: Map<string, bigint>): bigint {
  return [...map.values()].reduce((total, value) => total + value, 0n);
}
