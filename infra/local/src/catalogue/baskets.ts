import { join } from "node:path";
import { projectDirectory } from "../project.js";
import { readProducts } from "./products.js";
import { readSales } from "./sales.js";

const FILE = join(projectDirectory, "data/online-retail-2010-12.csv.gz");

/** An order of the real month, as k6 reads it: units as ProtoJSON writes them. */
interface Basket {
  customerId: string;
  lines: { sku: string; quantity: string }[];
}

/**
 * The real orders, for load tests: those that the shop can sell, with their customers and their skew.
 * Lines of products that are none, and of no units, are left out; the replay is what holds the shop
 * against them. Rejects where the data set is not there.
 *
 * @example
 * await writeFile("baskets.json", JSON.stringify(await realBaskets()));
 */
export async function realBaskets(): Promise<Basket[]> {
  const known = new Set((await readProducts(readSales(FILE))).map(({ sku }) => sku));
  const baskets = new Map<string, Basket>();
  for await (const { invoice, customer, stockCode: sku, quantity } of readSales(FILE)) {
    if (invoice.startsWith("C") || quantity < 1n || !known.has(sku)) continue;
    const basket = baskets.get(invoice) ?? { customerId: customer, lines: [] };
    basket.lines.push({ sku, quantity: String(quantity) });
    baskets.set(invoice, basket);
  }
  return [...baskets.values()];
}
