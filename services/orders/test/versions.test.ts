import { OrderService, ShippingAddressSchema } from "@emporium/contracts/orders/v2";
import * as v2 from "@emporium/contracts/orders/v2";
import * as v1 from "@emporium/contracts/orders/v1";
import { ResourceInfoSchema } from "@emporium/contracts/google/rpc";
import { type Client, findDetail, reasonOf } from "@emporium/grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toV1Order, toV1Return } from "../src/v1-message.js";
import { outcomeOf } from "./outcome.js";
import { back, line, newId, orderRequest, requestInV2, returnRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

let shop: RunningOrders;
let first: Client<typeof v1.OrderService>;
let second: Client<typeof OrderService>;
beforeAll(async () => {
  shop = await runOrders({ taxRateBasisPoints: 2000 });
  first = shop.orders;
  second = shop.client(OrderService);
});
afterAll(() => shop?.[Symbol.asyncDispose]());

async function placed(...lines: ReturnType<typeof line>[]) {
  const request = orderRequest(lines);
  await second.createOrder(requestInV2(request));
  return request;
}

const cancel = (orderId: string, note = "") =>
  second.cancelOrder({ orderId, reason: v2.CancelReason.SHOP_DECISION, note });

describe("what the second version adds", () => {
  test("each line tells its total and the tax in it, and the order their sums", async () => {
    const { order } = await second.createOrder(
      requestInV2(orderRequest([line("A", 6, 255), line("B", 1, 100)])),
    );
    expect(order).toMatchObject({
      lines: [
        {
          subtotal: { units: 12n, nanos: 750_000_000 },
          tax: { units: 2n, nanos: 550_000_000 },
          total: { currencyCode: "GBP", units: 15n, nanos: 300_000_000 },
        },
        {
          subtotal: { units: 0n, nanos: 830_000_000 },
          tax: { units: 0n, nanos: 170_000_000 },
          total: { units: 1n, nanos: 0 },
        },
      ],
      subtotal: { units: 13n, nanos: 580_000_000 },
      tax: { units: 2n, nanos: 720_000_000 },
      total: { units: 16n, nanos: 300_000_000 },
      refunded: { units: 0n, nanos: 0 },
      taxRateBasisPoints: 2000,
    });
  });

  test("an order that is placed says since when, and nothing brought it there", async () => {
    const { orderId } = await placed(line("A", 1, 100));
    const { order } = await second.getOrder({ orderId });
    expect(order?.status).toMatchObject({
      state: v2.OrderState.PLACED,
      time: order?.createTime,
      cause: { case: undefined },
    });
  });

  test("a cancelled order keeps its first reason and note", async () => {
    const { orderId } = await placed(line("A", 1, 100));
    shop.clock.advance(5000);
    const { order } = await cancel(orderId, "Out of season");
    expect(order?.status).toMatchObject({
      state: v2.OrderState.CANCELLED,
      time: order?.updateTime,
      cause: {
        case: "cancellation",
        value: { reason: v2.CancelReason.SHOP_DECISION, note: "Out of season" },
      },
    });
    expect((await cancel(orderId, "Another")).order).toEqual(order);
    expect((await second.getOrder({ orderId })).order).toEqual(order);
  });

  test("a returned order names the return that brought its last unit", async () => {
    const { orderId } = await placed(line("A", 2, 120));
    await first.returnItems(returnRequest([back("A", 1)], { orderId }));
    const { order: partly } = await second.getOrder({ orderId });
    expect(partly?.status).toMatchObject({
      state: v2.OrderState.PLACED,
      time: partly?.createTime,
      cause: { case: undefined },
    });
    shop.clock.advance(1000);
    const returnId = newId("ret");
    const { return: taken } = await second.returnItems({
      returnId,
      orderId,
      reason: v2.ReturnReason.UNWANTED,
      lines: [{ sku: "A", quantity: 1n }],
    });
    expect(taken?.lines).toMatchObject([{ total: { units: 1n, nanos: 200_000_000 } }]);
    const { order } = await second.getOrder({ orderId });
    expect(order?.status).toMatchObject({
      state: v2.OrderState.RETURNED,
      time: order?.updateTime,
      cause: { case: "fullReturn", value: { returnId } },
    });
  });

  test("a note or a title that cannot be stored is refused by the contract", async () => {
    const { orderId } = await placed(line("A", 1, 100));
    const refused = { reason: "INVALID_REQUEST", code: "InvalidArgument" };
    expect(await outcomeOf(cancel(orderId, "a\0b"))).toEqual({ ...refused, about: ["note"] });
    const request = requestInV2(orderRequest([{ ...line("A", 1, 100), title: "a\0b" }]));
    expect(await outcomeOf(second.createOrder(request))).toEqual({
      ...refused,
      about: ["lines[0].title"],
    });
  });
});

describe("both versions tell the same", () => {
  test("an order and a return, in every way to read them", async () => {
    const { orderId, customerId } = await placed(line("A", 2, 255), line("B", 1, 99));
    const request = returnRequest([back("A", 1)], { orderId });
    const { return: taken } = await first.returnItems(request);
    const { return: same } = await second.returnItems({
      returnId: request.returnId,
      orderId,
      reason: v2.ReturnReason.UNWANTED,
      lines: [{ sku: "A", quantity: 1n }],
    });
    expect(toV1Return(same!)).toEqual(taken);
    await first.returnItems(returnRequest([back("A", 1), back("B", 1)], { orderId }));

    const { order } = await second.getOrder({ orderId });
    expect((await first.getOrder({ orderId })).order).toEqual(toV1Order(order!));
    const listed = await second.listOrders({ customerId });
    expect(listed.orders).toContainEqual(order);
    const told = await Array.fromAsync(second.watchOrder({ orderId }));
    expect(told.at(-1)?.order).toEqual(order);
    expect(await Array.fromAsync(first.watchOrder({ orderId }))).toEqual(
      told.map((message) => ({
        $typeName: v1.WatchOrderResponseSchema.typeName,
        order: toV1Order(message.order!),
        ...(message.return && { return: toV1Return(message.return) }),
        resumeToken: message.resumeToken,
      })),
    );
    const exported = await Array.fromAsync(second.exportOrders({}));
    expect(exported.map((message) => message.order)).toContainEqual(order);
    expect(await Array.fromAsync(first.exportOrders({}))).toEqual(
      exported.map((message) => ({
        $typeName: v1.ExportOrdersResponseSchema.typeName,
        order: toV1Order(message.order!),
        resumeToken: message.resumeToken,
      })),
    );
  });

  test("a change is told to a watcher with all that the row knows of it, as it happens", async () => {
    const { orderId } = await placed(line("A", 1, 100));
    const watcher = second.watchOrder({ orderId })[Symbol.asyncIterator]();
    await watcher.next();
    const next = watcher.next();
    const { order } = await cancel(orderId, "Out of season");
    expect(await next).toMatchObject({ value: { order } });
    expect(await watcher.next()).toMatchObject({ done: true });
  });

  test("tokens of one version are good in the other", async () => {
    const { customerId } = await placed(line("A", 1, 100));
    await placed(line("A", 1, 100));
    const { nextPageToken } = await first.listOrders({ customerId, pageSize: 1 });
    const one = await first.listOrders({ customerId, pageSize: 1, pageToken: nextPageToken });
    const two = await second.listOrders({ customerId, pageSize: 1, pageToken: nextPageToken });
    expect(two.orders.map(toV1Order)).toEqual(one.orders);
  });

  test("what was asked for in one version can be asked for again in the other", async () => {
    const request = orderRequest([line("A", 1, 100)]);
    const { order } = await first.createOrder(request);
    const again = await second.createOrder(requestInV2(request));
    expect(toV1Order(again.order!)).toEqual(order);
    const { order: other } = await second.createOrder(
      requestInV2(orderRequest([line("A", 1, 100)])),
    );
    expect(other?.revision).toBe(1n);
    const mismatch = requestInV2({ ...request, customerId: "bob" });
    expect((await outcomeOf(second.createOrder(mismatch))).reason).toBe("ORDER_MISMATCH");
  });

  test("failures have the same reason and domain; a resource bears its version's name", async () => {
    const orderId = newId("ord");
    const seen = await Promise.all(
      [first.getOrder({ orderId }), second.getOrder({ orderId })].map((call) =>
        call.then(
          () => undefined,
          (error: unknown) => ({
            ...reasonOf(error),
            type: findDetail(error, ResourceInfoSchema)?.resourceType,
          }),
        ),
      ),
    );
    const same = { reason: "ORDER_NOT_FOUND", domain: "orders.emporium.example" };
    expect(seen).toMatchObject([
      { ...same, type: "emporium.orders.v1.Order" },
      { ...same, type: "emporium.orders.v2.Order" },
    ]);
  });

  test("an address is the same bytes in both, so that stored ones are read by either", () => {
    const fields = (schema: typeof ShippingAddressSchema | typeof v1.ShippingAddressSchema) =>
      schema.fields.map(({ number, name, fieldKind }) => ({ number, name, fieldKind }));
    expect(fields(ShippingAddressSchema)).toEqual(fields(v1.ShippingAddressSchema));
  });
});

test("callers of the first version are warned, and those of the second are not", async () => {
  const warned = async (call: (onHeader: (headers: Headers) => void) => Promise<unknown>) => {
    let sunset: string | null = null;
    await call((headers) => (sunset = headers.get("sunset")));
    return sunset;
  };
  expect(await warned((onHeader) => first.listOrders({}, { onHeader }))).toBe(
    "Wed, 30 Jun 2027 00:00:00 GMT",
  );
  expect(await warned((onHeader) => second.listOrders({}, { onHeader }))).toBeNull();
});

test("every method and every reason of the first version is in the second", () => {
  const methods = (service: { methods: readonly { name: string }[] }) =>
    service.methods.map(({ name }) => name);
  expect(methods(OrderService)).toEqual(methods(v1.OrderService));
  const reasons = (schema: typeof v1.ReasonSchema | typeof v2.ReasonSchema) =>
    schema.values.map(({ name, number }) => ({ name, number }));
  expect(reasons(v2.ReasonSchema)).toEqual(expect.arrayContaining(reasons(v1.ReasonSchema)));
});
