import { join } from "node:path";
import { projectDirectory } from "../project.js";
import { type CatalogueProduct, readProducts } from "./products.js";
import { readSales } from "./sales.js";

/** The real orders that the catalogue is made of. */
const REAL_ORDERS = join(projectDirectory, "data/online-retail-2010-12.csv.gz");

/** Fewest units of a product on the shelf of a new shop. */
const FEWEST_UNITS = 100n;

/**
 * What a new shop has on its shelves: as many units of each product as were sold in the real month,
 * and 100 at least.
 *
 * @example
 * await stockShop({ address, importId: newId("imp"), products: await openingStock(), currency });
 */
export async function openingStock(): Promise<(CatalogueProduct & { units: bigint })[]> {
  const products = await readProducts(readSales(REAL_ORDERS));
  return products.map((product) => ({
    ...product,
    units: product.unitsSold > FEWEST_UNITS ? product.unitsSold : FEWEST_UNITS,
  }));
}
