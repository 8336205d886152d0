import { CancelReason, OrderService, ReturnReason } from "@emporium/contracts/orders/v1";
import type { GrpcClient } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { euros, pounds, type Provocation, type ReasonShop, UNKNOWN } from "./shop.js";

type Orders = GrpcClient<typeof OrderService>;

const line = (sku: string, quantity = 2n) => ({
  sku,
  title: "LANTERN",
  quantity,
  unitPrice: pounds(3n),
});
const request = () => ({
  orderId: newId("ord"),
  checkoutId: newId("chk"),
  customerId: "17850",
  lines: [line("LANTERN")],
});

async function placed(orders: Orders) {
  const order = request();
  await orders.createOrder(order);
  return order;
}

const returned = (quantity = 1n) => ({
  returnId: newId("ret"),
  reason: ReturnReason.UNWANTED,
  lines: [{ sku: "LANTERN", quantity }],
});

/** How a caller meets each reason that a version's methods declare; what they are asked is the same. */
export function orders(version: (shop: ReasonShop) => unknown): Record<string, Provocation> {
  const by =
    (provoke: (orders: Orders) => Promise<unknown>): Provocation =>
    (shop) =>
      provoke(version(shop) as Orders);
  return {
    "CreateOrder MIXED_CURRENCIES": by((orders) =>
      orders.createOrder({
        ...request(),
        lines: [line("LANTERN"), { ...line("LAMP"), unitPrice: euros(1n) }],
      }),
    ),
    "CreateOrder ORDER_MISMATCH": by(async (orders) =>
      orders.createOrder({ ...(await placed(orders)), customerId: "99999" }),
    ),
    "CreateOrder ORDER_CANCELLED": async (shop) => {
      const order = request();
      const { orderId } = order;
      await shop.ordersOfCheckout.cancelOrder({ orderId, reason: CancelReason.CHECKOUT_FAILED });
      return (version(shop) as Orders).createOrder(order);
    },

    "GetOrder ORDER_NOT_FOUND": by((orders) => orders.getOrder({ orderId: newId("ord") })),

    "CancelOrder ORDER_NOT_FOUND": by((orders) =>
      orders.cancelOrder({ orderId: newId("ord"), reason: CancelReason.CUSTOMER_REQUEST }),
    ),
    "CancelOrder ORDER_PARTLY_RETURNED": by(async (orders) => {
      const { orderId } = await placed(orders);
      await orders.returnItems({ ...returned(), orderId });
      return orders.cancelOrder({ orderId, reason: CancelReason.CUSTOMER_REQUEST });
    }),

    "ReturnItems MIXED_CURRENCIES": by((orders) =>
      orders.returnItems({
        ...returned(),
        lines: [pounds(1n), euros(1n)].map((unitPrice) => ({
          sku: "LANTERN",
          quantity: 1n,
          unitPrice,
        })),
      }),
    ),
    "ReturnItems RETURN_MISMATCH": by(async (orders) => {
      const { orderId } = await placed(orders);
      const first = { ...returned(), orderId };
      await orders.returnItems(first);
      return orders.returnItems({ ...first, lines: returned(2n).lines });
    }),
    "ReturnItems ORDER_NOT_FOUND": by((orders) =>
      orders.returnItems({ ...returned(), orderId: newId("ord") }),
    ),
    "ReturnItems ORDER_CANCELLED": by(async (orders) => {
      const { orderId } = await placed(orders);
      await orders.cancelOrder({ orderId, reason: CancelReason.CUSTOMER_REQUEST });
      return orders.returnItems({ ...returned(), orderId });
    }),
    "ReturnItems LINE_NOT_ON_ORDER": by(async (orders) => {
      const { orderId } = await placed(orders);
      return orders.returnItems({
        ...returned(),
        orderId,
        lines: [{ sku: "LAMP", quantity: 1n }],
      });
    }),
    "ReturnItems RETURN_EXCEEDS_ORDER": by(async (orders) => {
      const { orderId } = await placed(orders);
      return orders.returnItems({ ...returned(3n), orderId });
    }),
    "ReturnItems PRICE_MISSING": by((orders) => orders.returnItems(returned())),
    "ReturnItems PRODUCT_NOT_FOUND": by((orders) =>
      orders.returnItems({
        ...returned(),
        lines: [{ sku: UNKNOWN, quantity: 1n, unitPrice: pounds(1n) }],
      }),
    ),

    "WatchOrder ORDER_NOT_FOUND": by((orders) =>
      Array.fromAsync(orders.watchOrder({ orderId: newId("ord") })),
    ),
  };
}
