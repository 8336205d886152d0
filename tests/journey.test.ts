import { CheckoutService, CheckoutState, CheckoutStepKind } from "@emporium/contracts/checkout/v1";
import { BadRequestSchema, PreconditionFailureSchema } from "@emporium/contracts/google/rpc";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import {
  CancelReason,
  OrderService,
  OrderState,
  ReturnReason,
} from "@emporium/contracts/orders/v1";
import { Code, findDetail, type GrpcClient, reasonOf } from "@emporium/grpc";
import { bootShop, type Shop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { newId, relatedId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";

/** What a customer lives through, across all three services, over gRPC. */
let shop: Shop;
let inventory: GrpcClient<typeof InventoryService>;
let orders: GrpcClient<typeof OrderService>;
let checkout: GrpcClient<typeof CheckoutService>;

beforeAll(async () => {
  const backing = await testInfrastructure();
  // Two replicas each: a customer who watches is seldom connected to the server that works for him.
  shop = await bootShop({
    backing,
    replicas: { inventory: 2, orders: 2, checkout: 2 },
  });
  inventory = await shop.client(InventoryService, { as: "test" });
  orders = await shop.client(OrderService, { as: "test" });
  checkout = await shop.client(CheckoutService, { as: "test" });
});

afterAll(async () => {
  for (const client of [inventory, orders, checkout]) client?.[Symbol.dispose]();
  await shop?.[Symbol.asyncDispose]();
});

const price = (units: bigint, nanos = 0) => ({ currencyCode: "GBP", units, nanos });

/** Puts so many units of a new product on the shelf. */
async function stocked(units: bigint): Promise<string> {
  const sku = newId("sku").replace("_", "-").slice(0, 32);
  const importId = newId("imp");
  const { rejections } = await inventory.importStock(
    (async function* () {
      const product = { sku, title: "WHITE METAL LANTERN", unitPrice: price(3n, 390_000_000) };
      yield { importId, entry: { case: "product" as const, value: product } };
      yield { importId, entry: { case: "adjustment" as const, value: { sku, delta: units } } };
    })(),
  );
  expect(rejections).toEqual([]);
  return sku;
}

const cart = (sku: string, quantity: bigint) => ({
  case: "cart" as const,
  value: { lines: [{ sku, quantity }] },
});

async function level(sku: string) {
  const { level } = await inventory.getProduct({ sku });
  return { onHand: level!.onHand, reserved: level!.reserved };
}

async function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.fail("the call did not fail"),
    (error: unknown) => error,
  );
}

test("what is bought leaves the shelf, is ordered and paid once, and can be watched afterwards", async () => {
  const sku = await stocked(10n);
  const checkoutId = newId("chk");
  const request = {
    checkoutId,
    customerId: "17850",
    basket: cart(sku, 4n),
    paymentToken: "tok_approve",
  };
  const first = await checkout.completeOrder(request);
  const again = await checkout.completeOrder(request);
  expect(first.checkout?.state).toBe(CheckoutState.COMPLETED);
  expect(again.checkout).toEqual(first.checkout);
  expect(first.checkout?.total).toMatchObject(price(13n, 560_000_000));
  expect(await level(sku)).toEqual({ onHand: 6n, reserved: 0n });

  const { order } = await orders.getOrder({ orderId: first.checkout!.orderId });
  expect(order).toMatchObject({ customerId: "17850", state: OrderState.PLACED, checkoutId });
  expect(order?.lines).toMatchObject([{ sku, quantity: 4n, title: "WHITE METAL LANTERN" }]);

  const steps = await Array.fromAsync(checkout.watchCheckout({ checkoutId }));
  expect(steps.map(({ step }) => step!.kind)).toEqual([
    CheckoutStepKind.STARTED,
    CheckoutStepKind.STOCK_RESERVED,
    CheckoutStepKind.PAYMENT_AUTHORIZED,
    CheckoutStepKind.ORDER_CREATED,
    CheckoutStepKind.STOCK_COMMITTED,
    CheckoutStepKind.COMPLETED,
  ]);
  const { resumeToken } = steps[3]!;
  const rest = await Array.fromAsync(checkout.watchCheckout({ checkoutId, resumeToken }));
  expect(rest).toEqual(steps.slice(4));
});

test("an empty shelf refuses the purchase, names the product, and holds nothing", async () => {
  const sku = await stocked(3n);
  const error = await failure(
    checkout.completeOrder({
      checkoutId: newId("chk"),
      basket: cart(sku, 4n),
      paymentToken: "tok_approve",
    }),
  );
  expect(error).toMatchObject({ code: Code.FailedPrecondition });
  expect(reasonOf(error)).toMatchObject({
    reason: "OUT_OF_STOCK",
    domain: "checkout.emporium.example",
  });
  expect(findDetail(error, PreconditionFailureSchema)?.violations[0]?.subject).toBe(sku);
  expect(await level(sku)).toEqual({ onHand: 3n, reserved: 0n });
});

test("a declined payment gives the stock back and is declined again under the same id", async () => {
  const sku = await stocked(5n);
  const checkoutId = newId("chk");
  const request = { checkoutId, basket: cart(sku, 2n), paymentToken: "tok_decline" };
  expect(reasonOf(await failure(checkout.completeOrder(request)))?.reason).toBe("PAYMENT_DECLINED");
  expect(reasonOf(await failure(checkout.completeOrder(request)))?.reason).toBe("PAYMENT_DECLINED");
  await expect.poll(() => level(sku)).toEqual({ onHand: 5n, reserved: 0n });
  const { checkout: refused } = await checkout.getCheckout({ checkoutId });
  expect(refused).toMatchObject({ state: CheckoutState.REFUSED, orderId: "" });
});

test("a cancelled order puts its goods back; the watcher of stock sees them leave and return", async () => {
  const sku = await stocked(8n);
  const seen: bigint[] = [];
  const watching = (async () => {
    for await (const { levels } of inventory.watchStock({ skus: [sku] })) {
      seen.push(...levels.map(({ onHand }) => onHand));
      if (seen.includes(0n) && seen.at(-1) === 8n) return;
    }
  })();
  await expect.poll(() => seen.length).toBeGreaterThan(0);
  const { checkout: bought } = await checkout.completeOrder({
    checkoutId: newId("chk"),
    basket: cart(sku, 8n),
    paymentToken: "tok_approve",
  });
  await expect.poll(() => seen.at(-1)).toBe(0n);
  await orders.cancelOrder({
    orderId: bought!.orderId,
    reason: CancelReason.CUSTOMER_REQUEST,
  });
  await watching;
  expect(seen.at(-1)).toBe(8n);
});

test("goods of an order come back once, at their price, and no more than were sold", async () => {
  const sku = await stocked(5n);
  const { checkout: bought } = await checkout.completeOrder({
    checkoutId: newId("chk"),
    customerId: "17850",
    basket: cart(sku, 5n),
    paymentToken: "tok_approve",
  });
  const back = (returnId: string, quantity: bigint) =>
    orders.returnItems({
      returnId,
      orderId: bought!.orderId,
      reason: ReturnReason.UNWANTED,
      lines: [{ sku, quantity }],
    });
  const returnId = newId("ret");
  const [first, again] = [await back(returnId, 2n), await back(returnId, 2n)];
  expect(first.return?.refund).toMatchObject(price(6n, 780_000_000));
  expect(again).toEqual(first);
  const error = await failure(back(newId("ret"), 4n));
  expect(reasonOf(error)?.reason).toBe("RETURN_EXCEEDS_ORDER");
  await expect.poll(() => level(sku)).toEqual({ onHand: 2n, reserved: 0n });
});

test("a quote is bought at its prices, by its customer, once", async () => {
  const sku = await stocked(100n);
  const checkoutId = newId("chk");
  const quoteId = relatedId("quo", checkoutId);
  const lines = [{ sku, quantity: 12n, unitPrice: price(2n, 950_000_000) }];
  await checkout.createQuote({ quoteId, customerId: "17850", lines });
  const buy = (id: string, customerId: string) =>
    checkout.completeOrder({
      checkoutId: id,
      customerId,
      basket: { case: "quoteId", value: quoteId },
      paymentToken: "tok_approve",
    });
  expect(reasonOf(await failure(buy(newId("chk"), "99999")))?.reason).toBe("QUOTE_NOT_FOUND");
  const { checkout: bought } = await buy(checkoutId, "17850");
  expect(bought?.total).toMatchObject(price(35n, 400_000_000));
  expect(reasonOf(await failure(buy(newId("chk"), "17850")))?.reason).toBe("QUOTE_USED");
});

test.each([
  ["an empty cart", [], "cart.lines"],
  ["a quantity of zero", [{ sku: "85123A", quantity: 0n }], "cart.lines[0].quantity"],
  ["a quantity below zero", [{ sku: "85123A", quantity: -6n }], "cart.lines[0].quantity"],
  ["an absurd quantity", [{ sku: "85123A", quantity: 2n ** 62n }], "cart.lines[0].quantity"],
  ["no code of a product", [{ sku: "BANK CHARGES", quantity: 1n }], "cart.lines[0].sku"],
  [
    "a thousand and one lines",
    Array.from({ length: 1001 }, () => ({ sku: "85123A", quantity: 1n })),
    "cart.lines",
  ],
])("%s is INVALID_ARGUMENT and names its field", async (_, lines, field) => {
  const error = await failure(
    checkout.completeOrder({
      checkoutId: newId("chk"),
      basket: { case: "cart", value: { lines } },
      paymentToken: "tok_approve",
    }),
  );
  expect(error).toMatchObject({ code: Code.InvalidArgument });
  expect(findDetail(error, BadRequestSchema)?.fieldViolations[0]?.field).toBe(field);
});

test("a product that does not exist is NOT_FOUND and names its field", async () => {
  const sku = await stocked(1n);
  const lines = [
    { sku, quantity: 1n },
    { sku: "NOSUCH", quantity: 1n },
  ];
  const error = await failure(
    checkout.completeOrder({
      checkoutId: newId("chk"),
      basket: { case: "cart", value: { lines } },
      paymentToken: "tok_approve",
    }),
  );
  expect(error).toMatchObject({ code: Code.NotFound });
  expect(findDetail(error, BadRequestSchema)?.fieldViolations[0]?.field).toBe("cart.lines[1].sku");
});

test("a price in another currency is INVALID_ARGUMENT and names its field", async () => {
  const sku = await stocked(1n);
  const unitPrice = { currencyCode: "EUR", units: 1n, nanos: 0 };
  const error = await failure(
    checkout.createQuote({
      quoteId: newId("quo"),
      lines: [
        { sku, quantity: 1n, unitPrice: price(1n) },
        { sku, quantity: 1n, unitPrice },
      ],
    }),
  );
  expect(error).toMatchObject({ code: Code.InvalidArgument });
  const [violation] = findDetail(error, BadRequestSchema)?.fieldViolations ?? [];
  expect(violation?.field).toBe("lines[1].unit_price.currency_code");
});
