import {
  CancelReason,
  type OrderLine,
  OrderState,
  ReturnReason,
} from "@emporium/contracts/orders/v1";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outcomeOf } from "./outcome.js";
import { back, line, newId, orderRequest, returnRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

let shop: RunningOrders;
beforeAll(async () => {
  shop = await runOrders();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

async function placed(...lines: OrderLine[]): Promise<string> {
  const request = orderRequest(lines);
  await shop.orders.createOrder(request);
  return request.orderId;
}

const take = (...request: Parameters<typeof returnRequest>) =>
  shop.orders.returnItems(returnRequest(...request));

test("1. MIXED_CURRENCIES, before the order is even looked for", async () => {
  const lines = [back("A", 1, 100), back("A", 1), back("B", 1, 100, "EUR")];
  expect(await outcomeOf(take(lines, { orderId: newId("ord") }))).toEqual({
    reason: "MIXED_CURRENCIES",
    code: "InvalidArgument",
    about: ["lines[2].unit_price.currency_code"],
  });
});

test("2. the same return again is the same return, also after the order has gone on", async () => {
  const orderId = await placed(line("A", 2, 100));
  const request = returnRequest([back("A", 1)], { orderId });
  const first = await shop.orders.returnItems(request);
  await take([back("A", 1)], { orderId });
  expect(await shop.orders.returnItems(request)).toEqual(first);
  const { order } = await shop.orders.getOrder({ orderId });
  expect(order).toMatchObject({ revision: 3n, refunded: { units: 2n } });
});

test("2. the same return without an order is the same return", async () => {
  const request = returnRequest([back("A", 1, 100)]);
  const first = await shop.orders.returnItems(request);
  shop.unknownSkus.add("A");
  expect(await shop.orders.returnItems(request)).toEqual(first);
  shop.unknownSkus.delete("A");
});

test("3. RETURN_MISMATCH for the same id with other content, an order that is not there included", async () => {
  const orderId = await placed(line("A", 3, 100));
  const { return: known } = await take([back("A", 1)], { orderId });
  const { returnId } = known!;
  const mismatch = { reason: "RETURN_MISMATCH", code: "AlreadyExists", about: [returnId] };
  expect(await outcomeOf(take([back("A", 2)], { orderId, returnId }))).toEqual(mismatch);
  expect(await outcomeOf(take([back("A", 1, 100)], { returnId }))).toEqual(mismatch);
  const elsewhere = { orderId: newId("ord"), returnId };
  expect(await outcomeOf(take([back("A", 1)], elsewhere))).toEqual(mismatch);
});

test("4. ORDER_NOT_FOUND, also where the order is another customer's", async () => {
  const orderId = newId("ord");
  const notFound = { reason: "ORDER_NOT_FOUND", code: "NotFound" };
  expect(await outcomeOf(take([back("A", 1)], { orderId }))).toEqual({
    ...notFound,
    about: [orderId],
  });
  const ofAlice = await placed(line("A", 1, 100));
  expect(await outcomeOf(take([back("A", 1)], { orderId: ofAlice, customerId: "bob" }))).toEqual({
    ...notFound,
    about: [ofAlice],
  });
  const named = await take([back("A", 1)], { orderId: ofAlice, customerId: "alice" });
  expect(named.return?.customerId).toBe("alice");
});

test("5. ORDER_CANCELLED, whatever the lines say", async () => {
  const orderId = await placed(line("A", 1, 100));
  await shop.orders.cancelOrder({ orderId, reason: CancelReason.CUSTOMER_REQUEST });
  expect(await outcomeOf(take([back("Z", 9)], { orderId }))).toEqual({
    reason: "ORDER_CANCELLED",
    code: "FailedPrecondition",
    about: [orderId],
  });
});

test("6. LINE_NOT_ON_ORDER, one violation for each line", async () => {
  const orderId = await placed(line("A", 1, 100), line("A", 1, 90), line("B", 1, 10));
  const lines = [back("B", 99), back("Z", 1), back("B", 1, 11), back("A", 1)];
  expect(await outcomeOf(take(lines, { orderId }))).toEqual({
    reason: "LINE_NOT_ON_ORDER",
    code: "InvalidArgument",
    about: ["lines[1].sku", "lines[2].unit_price", "lines[3].unit_price"],
  });
  const inEuros = await outcomeOf(take([back("B", 1, 10, "EUR")], { orderId }));
  expect(inEuros).toMatchObject({ reason: "LINE_NOT_ON_ORDER", about: ["lines[0].unit_price"] });
});

test("7. RETURN_EXCEEDS_ORDER, one violation for each product, and nothing is taken", async () => {
  const orderId = await placed(line("A", 2, 100), line("A", 2, 90), line("B", 1, 10));
  await take([back("A", 1, 100)], { orderId });
  const lines = [back("A", 2, 100), back("A", 3, 90), back("B", 1), back("B", 1)];
  expect(await outcomeOf(take(lines, { orderId }))).toEqual({
    reason: "RETURN_EXCEEDS_ORDER",
    code: "FailedPrecondition",
    about: ["A", "B"],
  });
  const { order } = await shop.orders.getOrder({ orderId });
  expect(order).toMatchObject({ revision: 2n, refunded: { units: 1n } });
});

test("8. PRICE_MISSING without an order, before products are checked", async () => {
  expect(await outcomeOf(take([back("A", 1, 100), back("never-sold", 1)]))).toEqual({
    reason: "PRICE_MISSING",
    code: "InvalidArgument",
    about: ["lines[1].unit_price"],
  });
});

test("9. PRODUCT_NOT_FOUND without an order, one violation for each line", async () => {
  shop.unknownSkus.add("X").add("Y");
  const lines = [back("X", 1, 100), back("A", 1, 100), back("Y", 1, 5), back("X", 2, 100)];
  const request = returnRequest(lines);
  expect(await outcomeOf(shop.orders.returnItems(request))).toEqual({
    reason: "PRODUCT_NOT_FOUND",
    code: "NotFound",
    about: ["lines[0].sku", "lines[2].sku", "lines[3].sku"],
  });
  shop.unknownSkus.clear();
  expect(await outcomeOf(shop.orders.returnItems(request))).toEqual({ reason: "OK" });
});

test("10. goods of an order come back at what they cost, and the last unit makes it RETURNED", async () => {
  const orderId = await placed(line("A", 2, 255), line("B", 3, 10), line("A", 1, 255));
  const first = await take([back("A", 2), back("B", 1, 10)], { orderId });
  expect(first.return).toMatchObject({
    orderId,
    customerId: "alice",
    reason: ReturnReason.UNWANTED,
    lines: [
      { sku: "A", quantity: 2n, unitPrice: { units: 2n, nanos: 550_000_000 } },
      { sku: "B", quantity: 1n, unitPrice: { units: 0n, nanos: 100_000_000 } },
    ],
    refund: { currencyCode: "GBP", units: 5n, nanos: 200_000_000 },
  });
  await take([back("A", 1), back("B", 1), back("B", 1)], { orderId });
  const { order } = await shop.orders.getOrder({ orderId });
  expect(order).toMatchObject({ state: OrderState.RETURNED, revision: 3n });
  expect(order?.refunded).toEqual(order?.total);
  expect(order?.lines.map((ordered) => ordered.returnedQuantity)).toEqual([2n, 3n, 1n]);
});

test("10. goods without an order come back at what the caller states", async () => {
  const { return: taken } = await take([back("A", 2, 150), back("A", 1, 99)], {
    customerId: "bob",
  });
  expect(taken).toMatchObject({
    orderId: "",
    customerId: "bob",
    refund: { currencyCode: "GBP", units: 3n, nanos: 990_000_000 },
  });
  expect(taken?.lines).toHaveLength(2);
});

test("10. a thousand lines come back at once", async () => {
  const skus = Array.from({ length: 1000 }, (_, at) => `S${at}`);
  const orderId = await placed(...skus.map((sku) => line(sku, 2, 100)));
  const { return: taken } = await take(
    skus.map((sku) => back(sku, 2)),
    { orderId },
  );
  expect(taken?.refund?.units).toBe(2000n);
  const { order } = await shop.orders.getOrder({ orderId });
  expect(order?.state).toBe(OrderState.RETURNED);
});

test("inventory's other failures reach the caller as they are", async () => {
  const outcome = await outcomeOf(take([back("unavailable", 1, 100)])).catch(
    (error: unknown) => error,
  );
  expect(outcome).toMatchObject({ code: 14 });
});
