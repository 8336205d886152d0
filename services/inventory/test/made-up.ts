import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ImportStockRequestSchema } from "@emporium/contracts/inventory/v1";
import { newId } from "@emporium/runtime";
import type { InventoryClient } from "./running-inventory.js";

export const price = { currencyCode: "GBP", units: 2n, nanos: 550_000_000 };

/** Puts products with so many units each into the catalogue. */
export async function stockUp(client: InventoryClient, units: Record<string, number>) {
  const importId = newId("imp");
  async function* entries(): AsyncGenerator<MessageInitShape<typeof ImportStockRequestSchema>> {
    for (const [sku, delta] of Object.entries(units)) {
      const product = { sku, title: `The ${sku}`, unitPrice: price };
      yield { importId, entry: { case: "product", value: product } };
      if (delta > 0)
        yield { importId, entry: { case: "adjustment", value: { sku, delta: BigInt(delta) } } };
    }
  }
  await client.importStock(entries());
}

/** `[on hand, reserved]` of each product. */
export async function levelsOf(client: InventoryClient, skus: string[]) {
  const { items } = await client.checkStock({ skus });
  return items.map(({ level }) => [Number(level?.onHand), Number(level?.reserved)]);
}
