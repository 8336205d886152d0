import type { SaleLine } from "./sales.js";

/** A product as the shop puts it on a shelf. */
export interface CatalogueProduct {
  sku: string;
  title: string;
  /** List price of one unit in minor units (pence): the median of what was paid. */
  listPrice: bigint;
  /** Units that were sold in the file, cancellations not counted. */
  unitsSold: bigint;
}

/** Minor units in a whole unit, and nanos in a minor unit. */
const [MINOR_UNITS, NANOS] = [100n, 10_000_000];

/**
 * Codes of real products: five digits and maybe letters, or those of the two ranges that are numbered
 * otherwise. Not postage (POST, DOT, C2), discounts (D), corrections (M), samples (S) or fees. Case
 * matters: 85123A and 85123a are two entries in the books, and here too.
 */
const PRODUCT_CODE = /^(\d{5}[A-Za-z]*|DCGS\w+|gift_\w+)$/;

/** What has been seen of one product. */
interface Seen {
  titles: Map<string, number>;
  prices: bigint[];
  unitsSold: bigint;
}

/**
 * Makes a catalogue, by SKU, of everything that was ever sold at a price: the most frequent
 * description is the title, the median price (the lower of two) the list price.
 *
 * @example
 * const products = await readProducts(readSales("data/online-retail-2010-12.csv.gz"));
 */
export async function readProducts(sales: AsyncIterable<SaleLine>): Promise<CatalogueProduct[]> {
  const seen = new Map<string, Seen>();
  for await (const sale of sales) {
    const price = minorUnitsOf(sale.unitPrice);
    // Lines without a price are bookings of the warehouse: "damaged", "?", "lost".
    if (price === undefined || !PRODUCT_CODE.test(sale.stockCode)) continue;
    let product = seen.get(sale.stockCode);
    if (!product)
      seen.set(sale.stockCode, (product = { titles: new Map(), prices: [], unitsSold: 0n }));
    product.prices.push(price);
    if (sale.quantity > 0n) product.unitsSold += sale.quantity;
    const title = sale.description.trim();
    if (title) product.titles.set(title, (product.titles.get(title) ?? 0) + 1);
  }
  return [...seen]
    .map(([sku, { titles, prices, unitsSold }]) => ({
      sku,
      title: mostFrequent(titles) ?? sku,
      listPrice: median(prices),
      unitsSold,
    }))
    .sort((a, b) => (a.sku < b.sku ? -1 : 1));
}

/** `undefined` for what is no price: zero, below zero, or finer than a minor unit. */
function minorUnitsOf({ units, nanos }: SaleLine["unitPrice"]): bigint | undefined {
  const minorUnits = units * MINOR_UNITS + BigInt(Math.trunc(nanos / NANOS));
  return nanos % NANOS === 0 && minorUnits > 0n ? minorUnits : undefined;
}

function mostFrequent(counts: Map<string, number>): string | undefined {
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

function median(prices: bigint[]): bigint {
  const sorted = prices.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0n;
}
