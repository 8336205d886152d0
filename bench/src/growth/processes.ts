import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { newId } from "@emporium/runtime";
import { costOf } from "./cost.js";
import { addProducts, buy, PRODUCTS, skuAt } from "./goods.js";
import { growthTable } from "./growth-table.js";
import type { Part } from "./parts.js";
import { openPinnedShop } from "./shop.js";

const SIZES = [1, 2, 4];

/** What a checkout costs with one, two and four processes of each service, called in turn. */
export const processes: Part = async ({ quick, rounds, milliseconds, progress }) => {
  const sizes = quick ? SIZES.slice(0, 2) : SIZES;
  const found = growthTable("processes", "services", sizes);
  for (const size of sizes) {
    await using open = await openPinnedShop(size);
    const { shop } = open;
    const caller = { as: "load-test", by: "load-test" } as const;
    using checkout = await shop.client(CheckoutService, caller);
    using inventory = await shop.client(InventoryService, { ...caller, as: "checkout" });
    await addProducts(shop.databaseUrls.inventory, 0, PRODUCTS);
    const watched = {
      ...open.watched(),
      rounds,
      milliseconds,
      // Each of four has seen its share of calls before it is measured.
      warmRounds: 16,
    };
    const bought = () => buy(checkout, 3);
    found.add("CompleteOrder", await costOf({ ...watched, callers: 16 }, bought));
    const reserve = (sku: string) => () =>
      inventory.reserveStock({ reservationId: newId("rsv"), lines: [{ sku, quantity: 1n }] });
    const hot = reserve(skuAt(0));
    found.add("ReserveStock of one hot product", await costOf({ ...watched, callers: 64 }, hot));
    progress(`${size} processes of each service`);
  }
  return found.report("Processes of each service: CPU time of a call", {
    // The more processes share one product, the smaller their groups (docs/adr/0016).
    flat: ["CompleteOrder"],
    rates: true,
    note: " All processes share one core and one load here, so that their rate cannot grow. With a part of the load each, they do in smaller groups what is done together (reservations, passes of relays), and take longer to be compiled.",
  });
};
