import { CancelReason, OrderService, OrderState } from "@emporium/contracts/orders/v1";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OK, outcomeOf } from "./outcome.js";
import { back, line, newId, orderRequest, returnRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

let shop: RunningOrders;
beforeAll(async () => {
  shop = await runOrders();
});
afterAll(() => shop?.[Symbol.asyncDispose]());

async function placed(...lines: ReturnType<typeof line>[]) {
  const request = orderRequest(lines.length > 0 ? lines : [line("85123A", 6, 255)]);
  await shop.orders.createOrder(request);
  return request;
}

const cancel = (orderId: string, reason = CancelReason.CUSTOMER_REQUEST) =>
  shop.orders.cancelOrder({ orderId, reason });

describe("CreateOrder", () => {
  const mixed = [line("A", 1, 100), line("B", 1, 100, "EUR"), line("C", 1, 5, "USD")];

  test("1. MIXED_CURRENCIES, also under an id that stands for an order", async () => {
    const { orderId } = await placed();
    const outcome = {
      reason: "MIXED_CURRENCIES",
      code: "InvalidArgument",
      about: ["lines[1].unit_price.currency_code", "lines[2].unit_price.currency_code"],
    };
    expect(await outcomeOf(shop.orders.createOrder(orderRequest(mixed)))).toEqual(outcome);
    const again = orderRequest(mixed, { orderId });
    expect(await outcomeOf(shop.orders.createOrder(again))).toEqual(outcome);
  });

  test("2. the same order again is the order as it is now", async () => {
    const request = await placed();
    await cancel(request.orderId);
    const { order } = await shop.orders.createOrder(request);
    expect(order).toMatchObject({ state: OrderState.CANCELLED, revision: 2n });
  });

  test("2. what the service fills in does not make it another order", async () => {
    const request = await placed();
    request.lines[0]!.returnedQuantity = 3n;
    const { order } = await shop.orders.createOrder(request);
    expect(order).toMatchObject({ revision: 1n, lines: [{ returnedQuantity: 0n }] });
  });

  test.each([
    ["lines", { lines: [line("85123A", 7, 255)] }],
    ["a title", { lines: [{ ...line("85123A", 6, 255), title: "Another" }] }],
    ["customer", { customerId: "bob" }],
    ["address", { shippingAddress: undefined }],
    ["checkout", { checkoutId: newId("chk") }],
  ])("3. ORDER_MISMATCH for the same id with other %s", async (_, change) => {
    const request = await placed();
    expect(await outcomeOf(shop.orders.createOrder({ ...request, ...change }))).toEqual({
      reason: "ORDER_MISMATCH",
      code: "AlreadyExists",
      about: [request.orderId],
    });
  });

  test("5. the order is PLACED, complete, with its total", async () => {
    const request = orderRequest([line("85123A", 6, 255), line("71053", 6, 339)]);
    const { order } = await shop.orders.createOrder(request);
    expect(order).toMatchObject({
      orderId: request.orderId,
      customerId: "alice",
      checkoutId: request.checkoutId,
      state: OrderState.PLACED,
      cancelReason: CancelReason.UNSPECIFIED,
      lines: request.lines,
      total: { currencyCode: "GBP", units: 35n, nanos: 640_000_000 },
      refunded: { currencyCode: "GBP", units: 0n, nanos: 0 },
      shippingAddress: request.shippingAddress,
      revision: 1n,
    });
    expect(order?.createTime).toEqual(order?.updateTime);
    const found = await shop.orders.getOrder({ orderId: request.orderId });
    expect(found.order).toEqual(order);
  });

  test("5. a thousand of the longest lines are one order", async () => {
    const lines = Array.from({ length: 1000 }, (_, at) => ({
      ...line(`S${String(at).padStart(31, "0")}`, 1_000_000, 100_000_000),
      title: "😀".repeat(200),
    }));
    const { order } = await shop.orders.createOrder(orderRequest(lines));
    expect(order?.total).toMatchObject({ units: 1_000_000_000_000_000n, nanos: 0 });
    expect((await shop.orders.getOrder({ orderId: order!.orderId })).order).toEqual(order);
  });

  test("a guest's order without an address or titles is an order", async () => {
    const request = orderRequest([{ ...line("A", 1, 1), title: "" }], { customerId: "" });
    delete request.shippingAddress;
    const { order } = await shop.orders.createOrder(request);
    expect(order).toMatchObject({ customerId: "", lines: [{ title: "" }] });
    expect(order).not.toHaveProperty("shippingAddress");
  });

  test("a title that cannot be stored is the caller's mistake", async () => {
    const request = orderRequest([line("A", 1, 1), { ...line("B", 1, 1), title: "a\0b" }]);
    expect(await outcomeOf(shop.orders.createOrder(request))).toEqual({
      reason: "INVALID_REQUEST",
      code: "InvalidArgument",
      about: ["lines[1].title"],
    });
  });
});

describe("GetOrder", () => {
  test("1. ORDER_NOT_FOUND", async () => {
    const orderId = newId("ord");
    expect(await outcomeOf(shop.orders.getOrder({ orderId }))).toEqual({
      reason: "ORDER_NOT_FOUND",
      code: "NotFound",
      about: [orderId],
    });
  });

  test("2. the order as its last change left it", async () => {
    const { orderId } = await placed(line("A", 3, 100));
    await shop.orders.returnItems(returnRequest([back("A", 1)], { orderId }));
    const { order } = await shop.orders.getOrder({ orderId });
    expect(order).toMatchObject({
      state: OrderState.PLACED,
      revision: 2n,
      refunded: { units: 1n },
      lines: [{ returnedQuantity: 1n }],
      shippingAddress: { recipient: "Alice Example" },
    });
  });
});

describe("ListOrders", () => {
  const invalid = { reason: "INVALID_PAGE_TOKEN", code: "InvalidArgument", about: ["page_token"] };

  test("1. INVALID_PAGE_TOKEN for a token of nobody, of another customer and of an export", async () => {
    await placed();
    await placed();
    const { nextPageToken } = await shop.orders.listOrders({ customerId: "alice", pageSize: 1 });
    const [exported] = await Array.fromAsync(shop.orders.exportOrders({}));
    for (const request of [
      { pageToken: "token" },
      { pageToken: nextPageToken },
      { pageToken: nextPageToken, customerId: "bob" },
      { pageToken: exported!.resumeToken },
    ])
      expect(await outcomeOf(shop.orders.listOrders(request))).toEqual(invalid);
  });

  test("2. pages, the newest orders first, until an empty token", async () => {
    const customerId = newId("ord");
    const ids: string[] = [];
    for (let at = 0; at < 7; at++) {
      // two orders of one millisecond at a time: their ids decide
      if (at % 2 === 0) shop.clock.advance(1);
      const request = orderRequest([line("A", 1, 100)], { customerId });
      await shop.orders.createOrder(request);
      ids.push(request.orderId);
    }
    const pairs = [ids.slice(6), ids.slice(4, 6), ids.slice(2, 4), ids.slice(0, 2)];
    const newestFirst = pairs.flatMap((pair) => pair.sort().reverse());

    const found: string[] = [];
    let pageToken = "";
    do {
      const page = await shop.orders.listOrders({ customerId, pageSize: 3, pageToken });
      expect(page.orders.length).toBeLessThanOrEqual(3);
      found.push(...page.orders.map(({ orderId }) => orderId));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(found).toEqual(newestFirst);
    const whole = await shop.orders.listOrders({ customerId, pageSize: 7 });
    expect(whole.nextPageToken).toBe("");
    const everybody = await shop.orders.listOrders({ pageSize: 7 });
    expect(everybody.orders).toEqual(whole.orders);
  });

  test("2. a customer without orders has one empty page", async () => {
    const page = await shop.orders.listOrders({ customerId: "nobody" });
    expect(page).toMatchObject({ orders: [], nextPageToken: "" });
  });
});

describe("CancelOrder", () => {
  test.each([
    ["a customer says CHECKOUT_FAILED", "ada", CancelReason.CHECKOUT_FAILED],
    ["support says CHECKOUT_FAILED", "admin", CancelReason.CHECKOUT_FAILED],
    ["a customer says SHOP_DECISION", "ada", CancelReason.SHOP_DECISION],
  ] as const)("1. FORBIDDEN where %s, and nothing is cancelled", async (_, who, reason) => {
    const { orderId } = await placed();
    const own = { ...orderRequest([line("A", 1, 100)]), customerId: "17850" };
    await shop.orders.createOrder(own);
    const caller = shop.client(OrderService, { as: "test", by: who });
    for (const id of [own.orderId, orderId, newId("ord")])
      expect(await outcomeOf(caller.cancelOrder({ orderId: id, reason }))).toMatchObject({
        reason: "FORBIDDEN",
        code: "PermissionDenied",
      });
    const { order } = await shop.orders.getOrder({ orderId: own.orderId });
    expect(order).toMatchObject({ state: OrderState.PLACED, revision: 1n });
  });

  test("2. checkout closes the id of an order that was never placed", async () => {
    const request = orderRequest([line("85123A", 6, 255)]);
    const { orderId } = request;
    const checkout = shop.client(OrderService, { by: "checkout" });
    const close = { orderId, reason: CancelReason.CHECKOUT_FAILED };
    expect((await checkout.cancelOrder(close)).order).toBeUndefined();
    expect((await checkout.cancelOrder(close)).order).toBeUndefined();
    expect(await outcomeOf(shop.orders.createOrder(request))).toMatchObject({
      reason: "ORDER_CANCELLED",
      code: "FailedPrecondition",
    });
    for (const gone of [shop.orders.getOrder({ orderId }), cancel(orderId)])
      expect(await outcomeOf(gone)).toMatchObject({ reason: "ORDER_NOT_FOUND" });
    const returned = shop.orders.returnItems(returnRequest([back("85123A", 1)], { orderId }));
    expect(await outcomeOf(returned)).toMatchObject({ reason: "ORDER_NOT_FOUND" });
    const { orders } = await shop.orders.listOrders({ pageSize: 100 });
    expect(orders.map((order) => order.orderId)).not.toContain(orderId);
    expect(await shop.database.prisma.outbox.count({ where: { aggregateId: orderId } })).toBe(0);
  });

  test("2. of an order that is placed and closed at the same moment, one of both happens", async () => {
    const checkout = shop.client(OrderService, { by: "checkout" });
    const rounds = Array.from({ length: 20 }, async () => {
      const request = orderRequest([line("85123A", 6, 255)]);
      const close = { orderId: request.orderId, reason: CancelReason.CHECKOUT_FAILED };
      const [created, closed] = await Promise.allSettled([
        shop.orders.createOrder(request),
        checkout.cancelOrder(close),
      ]);
      expect(closed.status).toBe("fulfilled");
      const cancelled = closed.status === "fulfilled" && closed.value.order;
      expect(created.status === "fulfilled").toBe(cancelled !== undefined);
    });
    await Promise.all(rounds);
  });

  test("3. ORDER_NOT_FOUND", async () => {
    const orderId = newId("ord");
    expect(await outcomeOf(cancel(orderId))).toEqual({
      reason: "ORDER_NOT_FOUND",
      code: "NotFound",
      about: [orderId],
    });
  });

  test("4. cancelled again, the order keeps its first reason", async () => {
    const { orderId } = await placed();
    const { order } = await cancel(orderId, CancelReason.SHOP_DECISION);
    expect((await cancel(orderId)).order).toEqual(order);
    expect(order?.cancelReason).toBe(CancelReason.SHOP_DECISION);
  });

  test.each([1, 3])("5. ORDER_PARTLY_RETURNED after %i of 3 units are back", async (quantity) => {
    const { orderId } = await placed(line("A", 3, 100));
    await shop.orders.returnItems(returnRequest([back("A", quantity)], { orderId }));
    expect(await outcomeOf(cancel(orderId))).toEqual({
      reason: "ORDER_PARTLY_RETURNED",
      code: "FailedPrecondition",
      about: [orderId],
    });
  });

  test("6. the order is CANCELLED, later than it was placed", async () => {
    const { orderId } = await placed();
    shop.clock.advance(5000);
    expect(await outcomeOf(cancel(orderId))).toEqual(OK);
    const { order } = await shop.orders.getOrder({ orderId });
    expect(order).toMatchObject({
      state: OrderState.CANCELLED,
      cancelReason: CancelReason.CUSTOMER_REQUEST,
      revision: 2n,
      shippingAddress: { recipient: "Alice Example" },
    });
    expect(order!.updateTime!.seconds - order!.createTime!.seconds).toBe(5n);
  });
});
