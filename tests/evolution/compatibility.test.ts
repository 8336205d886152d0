import { create, type DescMessage, type FileRegistry, fromJson, toJson } from "@bufbuild/protobuf";
import {
  CheckoutService,
  CheckoutState,
  CheckoutStepKind,
  GetCheckoutResponseSchema,
} from "@emporium/contracts/checkout/v1";
import { BadRequestSchema, PreconditionFailureSchema } from "@emporium/contracts/google/rpc";
import { GetProductResponseSchema, ProductSchema } from "@emporium/contracts/inventory/v1";
import {
  CancelReason,
  GetOrderResponseSchema,
  ListOrdersResponseSchema,
  OrderCancelledSchema,
  OrderService,
  OrderState,
  ShippingAddressSchema,
} from "@emporium/contracts/orders/v1";
import { outboxEvent } from "@emporium/events";
import { Code, findDetail, type GrpcClient, reasonOf } from "@emporium/grpc";
import { bootShop, type Shop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ImageCaller } from "./image-caller.ts";
import { messageOf, passOn, tomorrow } from "./image-types.ts";
import { openOrdersDatabase } from "./orders-database.ts";
import { releases } from "./releases.ts";

/** Callers with every contract that was released, and with the next one, in today's shop. */
let shop: Shop;
let todays: {
  orders: GrpcClient<typeof OrderService>;
  checkout: GrpcClient<typeof CheckoutService>;
};
let next: FileRegistry;

beforeAll(async () => {
  const backing = await testInfrastructure();
  [shop, next] = await Promise.all([bootShop({ backing }), tomorrow()]);
  todays = {
    orders: await shop.client(OrderService, { as: "test" }),
    checkout: await shop.client(CheckoutService, { as: "test" }),
  };
});

afterAll(async () => {
  for (const client of Object.values(todays ?? {})) client[Symbol.dispose]();
  await shop?.[Symbol.asyncDispose]();
});

async function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.fail("the call did not fail"),
    (error: unknown) => error,
  );
}

const cart = (sku: string, quantity: bigint) => ({
  case: "cart" as const,
  value: { lines: [{ sku, quantity }] },
});

describe.each(releases())("a client of $version", ({ image }) => {
  const read = <Desc extends DescMessage>(schema: Desc) => messageOf(image, schema);
  let caller: ImageCaller;

  beforeAll(async () => {
    caller = await ImageCaller.of(image, shop);
  });

  afterAll(() => caller?.[Symbol.dispose]());

  async function buy(sku: string, quantity: bigint) {
    const checkoutId = newId("chk");
    const { checkout } = await caller.checkout.completeOrder({
      checkoutId,
      customerId: "17850",
      basket: cart(sku, quantity),
      paymentToken: "tok_approve",
      shippingAddress: { recipient: "Ada", locality: "London" },
    });
    return { checkoutId, orderId: checkout!.orderId, state: checkout!.state };
  }

  test("finds every product, page by page, and its level", async () => {
    const skus = [await caller.stock(2n), await caller.stock(3n)];
    const found: string[] = [];
    let pageToken = "";
    do {
      const page = await caller.inventory.listProducts({ pageSize: 1, pageToken });
      found.push(...page.products.map(({ sku }) => sku));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(found).toEqual(expect.arrayContaining(skus));
    const { items } = await caller.inventory.checkStock({ skus });
    expect(items.map(({ level }) => level?.available)).toEqual([2n, 3n]);
  });

  test("buys, and what it passes on is what today's client reads", async () => {
    const { checkoutId, orderId, state } = await buy(await caller.stock(10n), 4n);
    expect(state).toBe(CheckoutState.COMPLETED);
    const order = await caller.orders.getOrder({ orderId });
    expect(order.order).toMatchObject({ state: OrderState.PLACED, checkoutId });
    expect(passOn(order, read(GetOrderResponseSchema), GetOrderResponseSchema)).toEqual(
      await todays.orders.getOrder({ orderId }),
    );
    const listed = await caller.orders.listOrders({ customerId: "17850", pageSize: 1 });
    expect(listed.orders[0]?.orderId).toBe(orderId);
    expect(passOn(listed, read(ListOrdersResponseSchema), ListOrdersResponseSchema)).toEqual(
      await todays.orders.listOrders({ customerId: "17850", pageSize: 1 }),
    );
    const bought = await caller.checkout.getCheckout({ checkoutId });
    expect(passOn(bought, read(GetCheckoutResponseSchema), GetCheckoutResponseSchema)).toEqual(
      await todays.checkout.getCheckout({ checkoutId }),
    );
  });

  test("watches a checkout to its end, also from the middle", async () => {
    const { checkoutId } = await buy(await caller.stock(1n), 1n);
    const steps = await Array.fromAsync(caller.checkout.watchCheckout({ checkoutId }));
    expect(steps.map(({ step }) => step?.kind)).toEqual([
      CheckoutStepKind.STARTED,
      CheckoutStepKind.STOCK_RESERVED,
      CheckoutStepKind.PAYMENT_AUTHORIZED,
      CheckoutStepKind.ORDER_CREATED,
      CheckoutStepKind.STOCK_COMMITTED,
      CheckoutStepKind.COMPLETED,
    ]);
    const { resumeToken } = steps[2]!;
    const rest = await Array.fromAsync(caller.checkout.watchCheckout({ checkoutId, resumeToken }));
    expect(rest).toEqual(steps.slice(3));
  });

  test("cancels an order while it watches it and the stock", async () => {
    const sku = await caller.stock(5n);
    const { orderId } = await buy(sku, 5n);
    const states = (async () => {
      const seen = await Array.fromAsync(caller.orders.watchOrder({ orderId }));
      return seen.map(({ order }) => order?.state);
    })();
    const levels = (async () => {
      const seen: bigint[] = [];
      for await (const news of caller.inventory.watchStock({ skus: [sku] })) {
        seen.push(...news.levels.map(({ available }) => available));
        if (seen.at(-1) === 5n) return seen;
      }
    })();
    const { order } = await caller.orders.cancelOrder({
      orderId,
      reason: CancelReason.CUSTOMER_REQUEST,
    });
    expect(order?.state).toBe(OrderState.CANCELLED);
    expect(await states).toEqual([OrderState.PLACED, OrderState.CANCELLED]);
    expect((await levels)?.at(-1)).toBe(5n);
  });

  test("visits the shop and buys there", async () => {
    const sku = await caller.stock(3n);
    const visit = caller.checkout.shopSession(
      (async function* () {
        yield { action: { case: "start" as const, value: { customerId: "17850" } } };
        yield { action: { case: "setLine" as const, value: { sku, quantity: 3n } } };
        const place = { checkoutId: newId("chk"), paymentToken: "tok_approve" };
        yield { action: { case: "place" as const, value: place } };
      })(),
    );
    const heard = await Array.fromAsync(visit);
    const ended = heard.map(({ update }) => update).find((update) => update.case === "ended");
    expect(ended?.value).toMatchObject({ state: CheckoutState.COMPLETED });
  });

  test("is refused with the reason and the detail that it knows", async () => {
    const sku = await caller.stock(1n);
    const error = await failure(buy(sku, 2n));
    expect(error).toMatchObject({ code: Code.FailedPrecondition });
    expect(reasonOf(error)?.reason).toBe("OUT_OF_STOCK");
    expect(findDetail(error, PreconditionFailureSchema)?.violations[0]?.subject).toBe(sku);
  });
});

describe("a client that is newer than the shop", () => {
  let caller: ImageCaller;

  beforeAll(async () => {
    caller = await ImageCaller.of(next, shop);
  });

  afterAll(() => caller?.[Symbol.dispose]());

  test("is served without the fields that the shop does not know: servers change first", async () => {
    const sku = await caller.stock(1n);
    const product = fromJson(messageOf(next, ProductSchema), {
      sku,
      title: "LANTERN",
      originCountry: "NO",
    });
    await caller.inventory.updateProduct({ product });
    const kept = await caller.inventory.getProduct({ sku });
    expect(toJson(messageOf(next, GetProductResponseSchema), kept)).toMatchObject({
      product: { title: "LANTERN" },
    });
    const Address = messageOf(next, ShippingAddressSchema);
    const { checkout } = await caller.checkout.completeOrder({
      checkoutId: newId("chk"),
      basket: cart(sku, 1n),
      paymentToken: "tok_approve",
      shippingAddress: fromJson(Address, { recipient: "Ada", instructions: "Ring twice" }),
    });
    const { order } = await caller.orders.getOrder({ orderId: checkout!.orderId });
    expect(toJson(Address, order!.shippingAddress!)).toEqual({ recipient: "Ada" });
  });

  test("is told which field holds a value that the shop does not know", async () => {
    const chargeback = 100 as CancelReason;
    const call = caller.orders.cancelOrder({ orderId: newId("ord"), reason: chargeback });
    const error = await failure(call);
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    expect(findDetail(error, BadRequestSchema)?.fieldViolations[0]?.field).toBe("reason");
  });
});

test.each([
  ...releases().map(({ version, image }) => ({ whose: version, contract: () => image })),
  { whose: "the next version", contract: () => next },
])("inventory takes in what orders of $whose publishes", async ({ contract }) => {
  using caller = await ImageCaller.of(contract(), shop);
  const sku = await caller.stock(4n);
  const { checkout } = await caller.checkout.completeOrder({
    checkoutId: newId("chk"),
    basket: cart(sku, 4n),
    paymentToken: "tok_approve",
  });
  const { orderId } = checkout!;
  const { order } = await caller.orders.getOrder({ orderId });
  const cancelled = messageOf(contract(), OrderCancelledSchema);
  const said = { order: order!, cancelledBy: "17850" };
  const message = create(cancelled, said);
  await using database = await openOrdersDatabase(shop.databaseUrls.orders);
  await database.transaction(undefined, async (tx) =>
    tx.emit(outboxEvent(cancelled, { aggregateId: orderId, version: 2, message })),
  );
  const available = async () => {
    const { level } = await caller.inventory.getProduct({ sku });
    return level?.available;
  };
  await expect.poll(available, { timeout: 20_000 }).toBe(4n);
});
