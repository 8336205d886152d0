import { join } from "node:path";
import { projectDirectory, readProducts, readSales } from "@emporium/local";

/** Units of a product that somebody wants. */
export interface Line {
  sku: string;
  quantity: bigint;
}

/** What is asked for, in which mixture, by how many at once. */
export interface Mix {
  name: string;
  callers: number;
  /** The lines of the next order, each product once. */
  next: () => Line[];
  /** The same for pgbench, where it can be told in two numbers: products, and lines of an order. */
  limit?: { products: number; lines: number };
}

const CALLERS = 128;
const PRODUCTS = 2_800;
const LINES = 3;

/** Everybody wants one; 2,800 products of which an order has three; the orders of December 2010. */
export async function mixes(): Promise<{ mixes: Mix[]; skus: string[] }> {
  const skus = Array.from({ length: PRODUCTS }, (_, index) => `even-${index}`);
  const december = await decemberOrders();
  let at = 0;
  const hot = () => [{ sku: "hot", quantity: 1n }];
  const even = () => {
    const first = Math.floor(Math.random() * PRODUCTS);
    // Apart by primes, so three different ones, and every product as often as any other.
    return Array.from({ length: LINES }, (_, line) => ({
      sku: skus[(first + line * 911) % PRODUCTS]!,
      quantity: 1n,
    }));
  };
  return {
    mixes: [
      { name: "hot product", callers: CALLERS, next: hot, limit: { products: 1, lines: 1 } },
      {
        name: "even mix",
        callers: CALLERS,
        next: even,
        limit: { products: PRODUCTS, lines: LINES },
      },
      { name: "December mix", callers: CALLERS, next: () => december[at++ % december.length]! },
      { name: "one caller", callers: 1, next: even },
    ],
    skus: ["hot", ...skus, ...new Set(december.flat().map(({ sku }) => sku))],
  };
}

/** The orders of the real file, in its order, with their products and numbers of units. */
async function decemberOrders(): Promise<Line[][]> {
  const file = join(projectDirectory, "data/online-retail-2010-12.csv.gz");
  const known = new Set((await readProducts(readSales(file))).map(({ sku }) => sku));
  const orders = new Map<string, Map<string, bigint>>();
  for await (const { invoice, stockCode: sku, quantity } of readSales(file)) {
    if (quantity <= 0n || !known.has(sku)) continue;
    const units = orders.get(invoice) ?? new Map<string, bigint>();
    orders.set(invoice, units.set(sku, (units.get(sku) ?? 0n) + quantity));
  }
  return [...orders.values()].map((units) =>
    [...units].map(([sku, quantity]) => ({ sku, quantity })),
  );
}
