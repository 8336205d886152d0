import { CreateOrderRequestSchema, OrderService } from "@emporium/contracts/orders/v2";
import { create } from "@bufbuild/protobuf";
import { newId } from "@emporium/runtime";
import { pin } from "../server-process.js";
import { costOf } from "./cost.js";
import { growthTable } from "./growth-table.js";
import { addOrders, customerAt, orderIdAt, placedAt } from "./orders-rows.js";
import type { Part } from "./parts.js";
import { openPinnedShop } from "./shop.js";
import { superuserUrl } from "./sql.js";

const SIZES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const QUICK = [1_000, 20_000];

/** Orders of a page. */
const PAGE = 50;

/** What orders' calls cost while its table grows from a thousand orders to ten million. */
export const ordersTable: Part = async ({ quick, rounds, milliseconds, progress }) => {
  const sizes = quick ? QUICK : SIZES;
  await using open = await openPinnedShop();
  const { shop, infrastructure } = open;
  const caller = { as: "load-test", by: "load-test" } as const;
  using orders = await shop.client(OrderService, caller);
  using placing = await shop.client(OrderService, { ...caller, as: "checkout" });
  const url = superuserUrl(infrastructure, shop.databaseUrls.orders);
  const lines = [
    {
      sku: "85123A",
      title: "A HEART",
      quantity: 6n,
      unitPrice: { currencyCode: "GBP", units: 2n },
    },
  ];
  const watched = {
    ...open.watched("orders"),
    rounds,
    milliseconds,
    callers: 8,
  };
  const found = growthTable("orders", "orders", sizes);
  let rows = 0;
  for (const size of sizes) {
    progress(`Making ${size - rows} orders`);
    pin(watched.postmaster, 0, 1);
    await addOrders(url, rows, size);
    pin(watched.postmaster, 0);
    rows = size;
    const any = () => Math.floor(Math.random() * rows);
    const calls: Record<string, () => Promise<unknown>> = {
      GetOrder: () => orders.getOrder({ orderId: orderIdAt(any()) }),
      "ListOrders, newest": () => orders.listOrders({ pageSize: PAGE }),
      "ListOrders, a customer's": () =>
        orders.listOrders({ pageSize: PAGE, customerId: customerAt(any(), rows) }),
      "ExportOrders, 50 from the middle": async () => {
        const middle = Math.floor(any() / 2);
        const span = { startTime: placedAt(middle), endTime: placedAt(middle + PAGE) };
        for await (const _ of orders.exportOrders(span));
      },
      CreateOrder: () =>
        placing.createOrder(
          create(CreateOrderRequestSchema, {
            orderId: newId("ord"),
            customerId: customerAt(any(), rows),
            checkoutId: newId("chk"),
            lines,
          }),
        ),
    };
    for (const [name, call] of Object.entries(calls)) {
      found.add(name, await costOf(watched, call));
      progress(`${size} orders: ${name}`);
    }
  }
  return found.report("Orders in the table: CPU time of a call");
};
