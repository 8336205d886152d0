import {
  CancelReason,
  ItemsReturnedSchema,
  type Order,
  OrderCancelledSchema,
  OrderPlacedSchema,
} from "@emporium/contracts/orders/v1";
import { testInfrastructure } from "@emporium/local/test";
import { Events, type FeedEvent } from "@emporium/events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { back, line, orderRequest, returnRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

let shop: RunningOrders;
/** What another service gets to read, as it comes. */
const published: FeedEvent[] = [];
let onPublished = () => {};
const parts = new AsyncDisposableStack();

beforeAll(async () => {
  shop = parts.use(await runOrders());
  const { certificates } = await testInfrastructure();
  const other = parts.use(
    await Events.connect({
      ...shop.nats,
      nats: { tls: await certificates.filesOf("inventory") },
      source: "inventory",
      database: shop.database,
    }),
  );
  const ready = Promise.withResolvers<void>();
  parts.use(
    other.feed("orders").subscribe({
      onEvent: (event) => {
        published.push(event);
        onPublished();
      },
      onGap: () => ready.resolve(),
      onAway: () => {},
    }),
  );
  await ready.promise;
});
afterAll(() => parts.disposeAsync());

/** The events of an aggregate, as soon as there are so many. */
function eventsOf(aggregateId: string, count: number): Promise<FeedEvent[]> {
  return new Promise((resolve) => {
    onPublished = () => {
      const found = published.filter(({ meta }) => meta.aggregateId === aggregateId);
      if (found.length === count) resolve(found);
    };
    onPublished();
  });
}

function withoutAddress(order: Order): Order {
  return { ...order, shippingAddress: undefined };
}

test("placing and cancelling are told once each, in order, with the whole order", async () => {
  const request = orderRequest([line("A", 2, 100), line("B", 1, 50)]);
  const { order: placed } = await shop.orders.createOrder(request);
  const { orderId } = request;
  const cancel = { orderId, reason: CancelReason.CUSTOMER_REQUEST };
  const { order: cancelled } = await shop.orders.cancelOrder(cancel);
  await shop.orders.cancelOrder(cancel);
  const [first, second] = await eventsOf(orderId, 2);
  expect(first?.meta).toMatchObject({ version: 1n, type: OrderPlacedSchema.typeName });
  expect(first?.as(OrderPlacedSchema)?.order).toEqual(withoutAddress(placed!));
  expect(second?.meta).toMatchObject({ version: 2n, type: OrderCancelledSchema.typeName });
  expect(second?.as(OrderCancelledSchema)?.order).toEqual(withoutAddress(cancelled!));
});

test("a return of an order is told with the order, its checkout and the prices paid back", async () => {
  const request = orderRequest([line("A", 2, 100)]);
  await shop.orders.createOrder(request);
  const { orderId, checkoutId } = request;
  const { return: taken } = await shop.orders.returnItems(
    returnRequest([back("A", 1)], { orderId }),
  );
  const { order } = await shop.orders.getOrder({ orderId });
  const told = (await eventsOf(orderId, 2)).at(-1);
  expect(told?.meta.version).toBe(2n);
  const event = told?.as(ItemsReturnedSchema);
  expect(event).toMatchObject({ return: taken, checkoutId });
  expect(event?.order).toEqual(withoutAddress(order!));
  expect(taken?.lines[0]?.unitPrice).toMatchObject({ units: 1n });
});

test("a return without an order is told under its own id", async () => {
  const request = returnRequest([back("A", 1, 100)], { customerId: "bob" });
  const { return: taken } = await shop.orders.returnItems(request);
  const [told] = await eventsOf(request.returnId, 1);
  expect(told?.meta).toMatchObject({ version: 1n, aggregateId: request.returnId });
  expect(told?.as(ItemsReturnedSchema)).toMatchObject({ return: taken, checkoutId: "" });
  expect(told?.as(ItemsReturnedSchema)?.order).toBeUndefined();
});

test("a customer's address stands in the clear neither in the database nor in an event", async () => {
  const request = orderRequest([line("A", 1, 100)]);
  await shop.orders.createOrder(request);
  const { orderId } = request;
  await shop.orders.returnItems(returnRequest([back("A", 1)], { orderId }));
  const rows = await shop.database.query<{ place: string; clear: boolean }>(
    undefined,
    `SELECT place, position('Alice Example'::bytea IN bytes) > 0 AS clear
     FROM (
       SELECT 'address', sealed_address FROM orders WHERE order_id = $1
       UNION ALL SELECT 'unsealed', shipping_address FROM orders WHERE order_id = $1
       UNION ALL SELECT 'snapshot', snapshot FROM order_changes WHERE order_id = $1
       UNION ALL SELECT 'event', payload FROM outbox WHERE aggregate_id = $1
     ) AS stored (place, bytes)
     WHERE bytes IS NOT NULL ORDER BY place`,
    [orderId],
  );
  const clear = false;
  const places = ["address", "event", "event", "snapshot", "snapshot"];
  expect(rows).toEqual(places.map((place) => ({ place, clear })));
});
