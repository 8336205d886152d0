import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { costOf } from "./cost.js";
import { addProducts, buy, PRODUCTS } from "./goods.js";
import { growthTable } from "./growth-table.js";
import type { Part } from "./parts.js";
import { openPinnedShop } from "./shop.js";

const SIZES = [1, 10, 100, 1_000];
const QUICK = [1, 100];

/** What a checkout, and reading its order, costs by the lines that it has. */
export const orderLength: Part = async ({ quick, rounds, milliseconds, progress }) => {
  const sizes = quick ? QUICK : SIZES;
  await using open = await openPinnedShop();
  const { shop } = open;
  const caller = { as: "load-test", by: "load-test" } as const;
  using checkout = await shop.client(CheckoutService, caller);
  using orders = await shop.client(OrderService, caller);
  await addProducts(shop.databaseUrls.inventory, 0, PRODUCTS);
  const watched = {
    ...open.watched(),
    rounds,
    milliseconds,
    callers: 4,
    warmRounds: 8,
  };
  const found = growthTable("lines", "services", sizes);
  for (const size of sizes) {
    let orderId = "";
    const bought = async () => {
      orderId = await buy(checkout, size);
    };
    found.add("CompleteOrder", await costOf(watched, bought));
    progress(`${size} lines: CompleteOrder`);
    found.add("GetOrder", await costOf(watched, () => orders.getOrder({ orderId })));
    progress(`${size} lines: GetOrder`);
  }
  return found.report("Lines of an order: CPU time of a call", { flat: [] });
};
