import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { newId } from "@emporium/runtime";
import { audit, type AuditedShop } from "../audit/audit.js";
import { readProducts } from "../catalogue/products.js";
import { readSales } from "../catalogue/sales.js";
import { stockShop } from "../catalogue/stock-shop.js";
import { Books, compareOrders, compareStock } from "./books.js";
import type { Server } from "../guard/guarded-server.js";
import { firstDays, readInvoices } from "./invoices.js";
import { killAtRandom } from "./random-kills.js";
import { replay } from "./replay.js";
import { type Report, tallied } from "./report.js";

/** What is replayed, and how. */
export interface ReplayOptions {
  /** CSV or CSV.gz in the form of the Online Retail data set. */
  file: string;
  /** Orders under way at once. */
  concurrency: number;
  /** Only the first so many days of the file. */
  days: number;
  /** A shop that has sold nothing yet. */
  shop: AuditedShop;
  /** Servers of which one is killed every 3 s until everything is sent; none where absent. */
  kill?: readonly Server[];
  /** Told before the first order, and after each. */
  progress?: (done: number, total: number) => void;
}

/** Milliseconds between two kills, and for which an answer is waited for then. */
const [KILL_EVERY_MS, KILL_PATIENCE_MS] = [3_000, 120_000];

/** Milliseconds that returned goods get to be back in stock, and refunds to be paid. */
const PATIENCE_MS = 60_000;

/**
 * Replays the orders of a file through a fresh shop, as calls from outside, and holds the shop's
 * answers against the file: every order's total, and every product's stock. Then it holds the shop's
 * books against each other (see `audit`).
 *
 * @example
 * const report = await runReplay({ file, concurrency: 32, days: 1, shop });
 * expect(report.proof.differences).toEqual([]);
 */
export async function runReplay(options: ReplayOptions): Promise<Report> {
  const { file, shop, progress } = options;
  const invoices = firstDays(await readInvoices(readSales(file)), options.days);
  const books = new Books();
  const products = (await readProducts(readSales(file))).map((product) => ({
    ...product,
    units: product.unitsSold,
  }));
  using inventory = await shop.client(InventoryService, { as: "replay", by: "replay" });
  await stockShop({
    inventory,
    importId: newId("imp"),
    products,
    currency: "GBP",
  });
  for (const { sku, units } of products) books.loaded.set(sku, units);

  using orders = await shop.client(OrderService, { as: "replay", by: "replay" });
  using checkout = await shop.client(CheckoutService, { as: "replay", by: "replay" });
  let done = 0;
  progress?.(done, invoices.length);
  const start = performance.now();
  const kills = killAtRandom(options.kill ?? [], KILL_EVERY_MS);
  const tally = await replay({ inventory, orders, checkout }, invoices, books, {
    concurrency: options.concurrency,
    patienceMs: options.kill ? KILL_PATIENCE_MS : 0,
    progress: () => progress?.(++done, invoices.length),
  });
  const seconds = (performance.now() - start) / 1000;
  await kills[Symbol.asyncDispose]();
  const differences = [
    ...(await compareOrders(orders, books)),
    ...(await compareStock(inventory, books)),
    ...(await audit(shop, PATIENCE_MS)).differences,
  ];
  const units = books.units();
  return {
    ...tallied(tally),
    units: {
      loaded: Number(units.loaded),
      sold: Number(units.sold),
      returned: Number(units.returned),
    },
    turnover: (Number(books.turnover() / 10_000_000n) / 100).toFixed(2),
    kills: kills.count,
    seconds,
    ordersPerSecond: (tally.accepted + tallied(tally).orders.rejected) / seconds,
    proof: {
      holds: differences.length === 0 && tally.wrong.length === 0,
      products: products.length,
      differences,
      wrong: tally.wrong,
    },
  };
}
