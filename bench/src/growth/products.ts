import { InventoryService } from "@emporium/contracts/inventory/v1";
import { newId } from "@emporium/runtime";
import { costOf } from "./cost.js";
import { addProducts, skuAt } from "./goods.js";
import { growthTable } from "./growth-table.js";
import type { Part } from "./parts.js";
import { openPinnedShop } from "./shop.js";

const SIZES = [100, 2_800, 28_000, 280_000];
const QUICK = [100, 28_000];

/** What inventory's calls cost while its catalogue grows from a hundred products to 280,000. */
export const products: Part = async ({ quick, rounds, milliseconds, progress }) => {
  const sizes = quick ? QUICK : SIZES;
  await using open = await openPinnedShop();
  const { shop } = open;
  using inventory = await shop.client(InventoryService, { as: "checkout", by: "load-test" });
  const watched = {
    ...open.watched("inventory"),
    rounds,
    milliseconds,
    callers: 8,
  };
  const found = growthTable("products", "inventory", sizes);
  let made = 0;
  for (const size of sizes) {
    await addProducts(shop.databaseUrls.inventory, made, size);
    made = size;
    const any = () => skuAt(Math.floor(Math.random() * made));
    const calls: Record<string, () => Promise<unknown>> = {
      GetProduct: () => inventory.getProduct({ sku: any() }),
      "ListProducts, 50": () => inventory.listProducts({ pageSize: 50 }),
      "CheckStock, 20": () => inventory.checkStock({ skus: Array.from({ length: 20 }, any) }),
      "ReserveStock, 3": () =>
        inventory.reserveStock({
          reservationId: newId("rsv"),
          lines: [...new Set([any(), any(), any()])].map((sku) => ({ sku, quantity: 1n })),
        }),
    };
    for (const [name, call] of Object.entries(calls)) {
      found.add(name, await costOf(watched, call));
      progress(`${size} products: ${name}`);
    }
  }
  return found.report("Products in the catalogue: CPU time of a call");
};
