import { openingStock, stockShop } from "@emporium/local";
import { openClients } from "./clients.js";

/**
 * Fills the shelves of a new shop. The import has one id for good, so that a shop which has it
 * already is left as it is.
 */
const products = await openingStock();
using clients = await openClients("delivery");
const { applied } = await stockShop({
  inventory: clients.inventory,
  importId: "imp_00000000000000000000000001",
  currency: process.env["SHOP_CURRENCY"] ?? "GBP",
  products,
});
process.stdout.write(`${products.length} products, ${applied} entries applied\n`);
