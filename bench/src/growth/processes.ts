import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { newId } from "@emporium/runtime";
import { costOf } from "./cost.js";
import { addProducts, buy, PRODUCTS, skuAt } from "./goods.js";
import { growthTable } from "./growth-table.js";
import type { Part } from "./parts.js";
import { openPinnedShop } from "./shop.js";

const SIZES = [1, 2, 4];

/** What a core serves with any number of processes on it, so that a rate is not what differs. */
const PER_SECOND = 10;
const AT_ONE_RATE = `CompleteOrder, ${PER_SECOND} a second`;

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
    };
    // Each of four has seen as many calls before it is measured as the one: they are compiled by them.
    const each = { warm: 600 * size, warmRounds: 40 * size };
    const bought = () => buy(checkout, 3);
    found.add("CompleteOrder", await costOf({ ...watched, ...each, callers: 16 }, bought));
    const steady = { ...watched, warm: 0, callers: 16, perSecond: PER_SECOND };
    found.add(AT_ONE_RATE, await costOf(steady, bought));
    const reserve = (sku: string) => () =>
      inventory.reserveStock({ reservationId: newId("rsv"), lines: [{ sku, quantity: 1n }] });
    const hot = reserve(skuAt(0));
    found.add(
      "ReserveStock of one hot product",
      await costOf({ ...watched, ...each, callers: 64 }, hot),
    );
    progress(`${size} processes of each service`);
  }
  return found.report("Processes of each service: CPU time of a call", {
    // With more processes on one core each has less to do at a time, and the more share one product,
    // the smaller their groups (docs/adr/0016): only at one rate is it the processes that differ.
    flat: [AT_ONE_RATE],
    rates: true,
    note: " All processes share one core and one load here, so that their rate cannot grow. The less a process has to do at a time, the less it does together: turns of the event loop, reservations, passes of relays, commits. One alone pays for that as well when the rate is low.",
  });
};
