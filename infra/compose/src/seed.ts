import { openingStock, stockShop } from "@emporium/local";

/**
 * Fills the shelves of a new shop. The import has one id for good, so that a shop which has it
 * already is left as it is.
 */
const products = await openingStock();
const { applied } = await stockShop({
  address: process.env["INVENTORY_ADDR"] ?? "dns:///inventory:50052",
  importId: "imp_00000000000000000000000001",
  currency: process.env["SHOP_CURRENCY"] ?? "GBP",
  products,
});
process.stdout.write(`${products.length} products, ${applied} entries applied\n`);
