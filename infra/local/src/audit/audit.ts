import { setTimeout as wait } from "node:timers/promises";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { openLetters } from "../dlq/open.js";
import type { Shop } from "../shop/shop.js";
import type { ServiceName } from "../shop/services.js";
import { type Difference, Differences } from "./differences.js";
import { checkEvents, type EventTotals } from "./events.js";
import { checkPurchases, type PurchaseTotals } from "./purchases.js";
import { readTables, type ShopTables } from "./read.js";
import { checkStock, type StockTotals } from "./stock.js";

/** Where the books of a shop are. */
export type AuditedShop = Pick<
  Shop,
  "certificates" | "client" | "databaseUrls" | "natsUrl" | "eventPrefix"
>;

/** What an audit found. */
export interface AuditReport {
  /** Whether all books agree. */
  holds: boolean;
  products: number;
  stock: StockTotals;
  purchases: PurchaseTotals;
  events: Record<ServiceName, EventTotals>;
  differences: Difference[];
}

/** Milliseconds between two looks. */
const PAUSE_MS = 500;

/**
 * Opens all books of a shop and holds them against each other: the levels its API tells, its
 * products, reservations, checkouts, orders, payments, and the events published and taken in. What is
 * under way makes them differ for a moment, so it looks again until they agree or its patience, in
 * milliseconds, is over. For a shop that nobody buys in meanwhile, whose outboxes still hold all it
 * ever published (they keep 7 days).
 *
 * Rejects where a database, NATS or a service cannot be reached.
 *
 * @example
 * const { holds, differences } = await audit(shop, 30_000);
 */
export async function audit(shop: AuditedShop, patienceMs: number): Promise<AuditReport> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const report = await auditOnce(shop);
    if (report.holds || performance.now() > end) return report;
    await wait(PAUSE_MS);
  }
}

async function auditOnce(shop: AuditedShop): Promise<AuditReport> {
  const tables = await readTables(shop.databaseUrls);
  const differences = new Differences();
  const stock = checkStock(tables, differences);
  const purchases = checkPurchases(tables, differences);
  const events = checkEvents(tables, await countLetters(shop), differences);
  await checkAnswers(shop, tables, differences);
  const { found } = differences;
  const products = tables.products.length;
  return { holds: found.length === 0, products, stock, purchases, events, differences: found };
}

/** Dead letters, by consumer. */
async function countLetters(shop: AuditedShop): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  await using letters = await openLetters(shop);
  for await (const { consumer } of letters.list())
    counts.set(consumer, (counts.get(consumer) ?? 0) + 1);
  return counts;
}

/** Whether the services tell what their tables say. */
async function checkAnswers(
  { client }: AuditedShop,
  { products, orders }: ShopTables,
  differences: Differences,
): Promise<void> {
  using inventory = await client(InventoryService, { as: "audit", by: "audit" });
  using orderBook = await client(OrderService, { as: "audit", by: "audit" });
  const told = new Map<string, string>();
  for await (const { levels, caughtUp } of inventory.watchStock({})) {
    for (const { sku, onHand, reserved } of levels)
      told.set(sku, `${onHand}, ${reserved} reserved`);
    if (caughtUp) break;
  }
  for (const { sku, onHand, reserved } of products)
    differences.compare(`level of ${sku}`, `${onHand}, ${reserved} reserved`, told.get(sku));
  let exported = 0;
  for await (const { order } of orderBook.exportOrders({})) {
    if (!order) continue;
    exported += 1;
    const { units = 0n, nanos = 0 } = order.total ?? {};
    const total = units * 100n + BigInt(nanos / 10_000_000);
    differences.compare(`total of ${order.orderId}`, orders.get(order.orderId)?.total, total);
  }
  differences.compare("orders that are exported", orders.size, exported);
}
