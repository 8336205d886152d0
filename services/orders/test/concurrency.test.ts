import { CancelReason, type OrderService, OrderState } from "@emporium/contracts/orders/v1";
import type { Client } from "@emporium/grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Outcome, outcomeOf } from "./outcome.js";
import { back, line, newId, orderRequest, returnRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

let shop: RunningOrders;
/** Clients of two replicas. */
let replicas: Client<typeof OrderService>[];
const parts = new AsyncDisposableStack();

beforeAll(async () => {
  shop = parts.use(await runOrders());
  replicas = [shop.orders, parts.use(await shop.startReplica())];
});
afterAll(() => parts.disposeAsync());

/** The same call so many times at once, by turns over the replicas. */
function atOnce<T>(times: number, call: (orders: Client<typeof OrderService>) => Promise<T>) {
  return Promise.all(Array.from({ length: times }, (_, at) => call(replicas[at % 2]!)));
}

/** Names and versions of an aggregate's events in the outbox. */
async function eventsOf(aggregateId: string): Promise<string[]> {
  const rows = await shop.database.query<{ type: string; version: bigint }>(
    undefined,
    "SELECT type, version FROM outbox WHERE aggregate_id = $1 ORDER BY version",
    [aggregateId],
  );
  return rows.map(({ type, version }) => `${type.split(".").at(-1)} ${version}`);
}

test("the same CreateOrder 16 times at once is one order and one event", async () => {
  const request = orderRequest([line("A", 1, 100), line("B", 2, 50)]);
  const answers = await atOnce(16, (orders) => orders.createOrder(request));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await eventsOf(request.orderId)).toEqual(["OrderPlaced 1"]);
});

test("of two orders under one id at once, one is placed and the other refused", async () => {
  const orderId = newId("ord");
  const requests = [1, 2].map((quantity) => orderRequest([line("A", quantity, 100)], { orderId }));
  const outcomes = await Promise.all(
    requests.map((request, at) => outcomeOf(replicas[at]!.createOrder(request))),
  );
  expect(outcomes.map(({ reason }) => reason).sort()).toEqual(["OK", "ORDER_MISMATCH"]);
  expect(await eventsOf(orderId)).toEqual(["OrderPlaced 1"]);
});

test("two cancels and a return at once: either all is off or the return stands", async () => {
  for (let round = 0; round < 12; round++) {
    const { orderId } = await placed(3);
    const reason = CancelReason.CUSTOMER_REQUEST;
    const cancel = () => atOnce(2, (orders) => outcomeOf(orders.cancelOrder({ orderId, reason })));
    const take = () =>
      outcomeOf(replicas[round % 2]!.returnItems(returnRequest([back("A", 1)], { orderId })));
    const [cancels, taken] =
      round % 2 === 0
        ? await Promise.all([cancel(), take()])
        : ((await Promise.all([take(), cancel()])).reverse() as [Outcome[], Outcome]);

    const { order } = await shop.orders.getOrder({ orderId });
    const off = order?.state === OrderState.CANCELLED;
    expect(cancels.map(({ reason }) => reason)).toEqual(
      off ? ["OK", "OK"] : ["ORDER_PARTLY_RETURNED", "ORDER_PARTLY_RETURNED"],
    );
    expect(taken.reason).toBe(off ? "ORDER_CANCELLED" : "OK");
    expect(order).toMatchObject({ revision: 2n, refunded: { units: off ? 0n : 1n } });
    expect(await eventsOf(orderId)).toEqual([
      "OrderPlaced 1",
      off ? "OrderCancelled 2" : "ItemsReturned 2",
    ]);
  }
});

test("twelve returns of one unit at once: as many come back as were sold", async () => {
  const { orderId } = await placed(5);
  const outcomes = await atOnce(12, (orders) =>
    outcomeOf(orders.returnItems(returnRequest([back("A", 1)], { orderId }))),
  );
  const reasons = outcomes.map(({ reason }) => reason).sort();
  expect(reasons).toEqual([
    ...Array.from({ length: 5 }, () => "OK"),
    ...Array.from({ length: 7 }, () => "RETURN_EXCEEDS_ORDER"),
  ]);
  const { order } = await shop.orders.getOrder({ orderId });
  expect(order).toMatchObject({
    state: OrderState.RETURNED,
    revision: 6n,
    refunded: { units: 5n },
  });
  expect(await eventsOf(orderId)).toEqual([
    "OrderPlaced 1",
    ...[2, 3, 4, 5, 6].map((version) => `ItemsReturned ${version}`),
  ]);
});

test("the same return 8 times at once is taken once, with an order and without", async () => {
  const { orderId } = await placed(5);
  for (const request of [
    returnRequest([back("A", 1)], { orderId }),
    returnRequest([back("A", 1, 100)]),
  ]) {
    const answers = await atOnce(8, (orders) => orders.returnItems(request));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  }
  expect(await eventsOf(orderId)).toEqual(["OrderPlaced 1", "ItemsReturned 2"]);
});

test("one return id for several orders at once is taken for one of them", async () => {
  for (let round = 0; round < 5; round++) {
    const ids = await Promise.all([placed(1), placed(1), placed(1)]);
    const returnId = newId("ret");
    const outcomes = await Promise.all(
      [...ids.map(({ orderId }) => orderId), ""].map((orderId, at) =>
        outcomeOf(
          replicas[at % 2]!.returnItems(returnRequest([back("A", 1, 100)], { orderId, returnId })),
        ),
      ),
    );
    expect(outcomes.map(({ reason }) => reason).sort()).toEqual([
      "OK",
      "RETURN_MISMATCH",
      "RETURN_MISMATCH",
      "RETURN_MISMATCH",
    ]);
  }
});

async function placed(quantity: number) {
  const request = orderRequest([line("A", quantity, 100)]);
  await shop.orders.createOrder(request);
  return request;
}
