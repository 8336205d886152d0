import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type CatalogueProduct,
  projectDirectory,
  readProducts,
  readSales,
  realBaskets,
} from "@emporium/local";

const FILE = join(projectDirectory, "data/online-retail-2010-12.csv.gz");

/** The products of the real month. */
export async function catalogue(): Promise<CatalogueProduct[]> {
  return readProducts(readSales(FILE));
}

/** Writes the real orders to a file for k6. */
export async function writeBaskets(path: string): Promise<void> {
  await writeFile(path, JSON.stringify(await realBaskets()));
}
