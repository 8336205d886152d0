import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CatalogueProduct, projectDirectory, readProducts, readSales } from "@emporium/local";

const FILE = join(projectDirectory, "data/online-retail-2010-12.csv.gz");

/** An order of the real month, as k6 reads it: units as ProtoJSON writes them. */
interface Basket {
  customerId: string;
  lines: { sku: string; quantity: string }[];
}

/** The products of the real month. */
export async function catalogue(): Promise<CatalogueProduct[]> {
  return readProducts(readSales(FILE));
}

/**
 * Writes the real orders to a file for k6: those that the shop can sell, with their customers and
 * their skew. Lines of products that are none, and of no units, are left out; the replay is what
 * holds the shop against them.
 */
export async function writeBaskets(path: string): Promise<void> {
  const known = new Set((await catalogue()).map(({ sku }) => sku));
  const baskets = new Map<string, Basket>();
  for await (const { invoice, customer, stockCode: sku, quantity } of readSales(FILE)) {
    if (invoice.startsWith("C") || quantity < 1n || !known.has(sku)) continue;
    const basket = baskets.get(invoice) ?? { customerId: customer, lines: [] };
    basket.lines.push({ sku, quantity: String(quantity) });
    baskets.set(invoice, basket);
  }
  await writeFile(path, JSON.stringify([...baskets.values()]));
}
