import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type ImportStockRequestSchema,
  type ImportStockResponse,
  type InventoryService,
} from "@emporium/contracts/inventory/v1";
import type { GrpcClient } from "@emporium/grpc";
import type { CatalogueProduct } from "./products.js";

/** What is put on the shelves, and how it is told from other imports. */
export interface Delivery {
  inventory: GrpcClient<typeof InventoryService>;
  /** `imp_…`; the same delivery under the same id arrives once, however often it is sent. */
  importId: string;
  /** Products, with the units of each that come. */
  products: Iterable<CatalogueProduct & { units: bigint }>;
  /** ISO 4217 code of the list prices. */
  currency: string;
}

/**
 * Puts products into the catalogue and units on the shelves, through ImportStock. Rejects where
 * inventory leaves an entry out.
 *
 * @example
 * await stockShop({ inventory, importId: newId("imp"), products, currency: "GBP" });
 */
export async function stockShop(delivery: Delivery): Promise<ImportStockResponse> {
  const response = await delivery.inventory.importStock(entriesOf(delivery));
  const [first] = response.rejections;
  if (first)
    throw new Error(
      `Inventory left out ${response.rejected} entries, the first for ${first.sku} (reason ${first.reason})`,
    );
  return response;
}

async function* entriesOf({
  importId,
  products,
  currency,
}: Delivery): AsyncGenerator<MessageInitShape<typeof ImportStockRequestSchema>> {
  for (const { sku, title, listPrice, units } of products) {
    const unitPrice = {
      currencyCode: currency,
      units: listPrice / 100n,
      nanos: Number(listPrice % 100n) * 10_000_000,
    };
    yield { importId, entry: { case: "product", value: { sku, title, unitPrice } } };
    if (units > 0n) yield { importId, entry: { case: "adjustment", value: { sku, delta: units } } };
  }
}
