import {
  type CheckoutService,
  CheckoutState,
  CheckoutStepKind,
  Reason,
} from "@emporium/contracts/checkout/v1";
import { type Client, Code, reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Conversation } from "./conversation.js";
import { RunningCheckout } from "./running-checkout.js";
import { soon } from "./soon.js";

const stack = new AsyncDisposableStack();
let running: RunningCheckout;
let client: Client<typeof CheckoutService>;

beforeAll(async () => {
  running = await RunningCheckout.prepare(stack);
  client = await running.start();
});
afterAll(() => stack.disposeAsync());

const start = { case: "start", value: { customerId: "ada" } } as const;
const place = (differs: { quoteId?: string; checkoutId?: string; paymentToken?: string } = {}) =>
  ({
    case: "place",
    value: { checkoutId: newId("chk"), paymentToken: "tok_approve", ...differs },
  }) as const;
const tea = { currencyCode: "GBP", units: 2n, nanos: 0 };

test("a visit: offers, edits with prices, a purchase step by step, an empty cart", async () => {
  await using visit = new Conversation(client);
  visit.say(start);
  expect(await visit.next()).toMatchObject({ case: "offers", value: { quotes: [] } });
  visit.setLine("TEA", 2n);
  expect(await visit.next()).toMatchObject({
    case: "cart",
    value: {
      lines: [{ line: { sku: "TEA", title: "Product TEA", quantity: 2n }, available: 1_000_000n }],
      total: { currencyCode: "GBP", units: 5n, nanos: 0 },
      available: true,
    },
  });
  visit.setLine("CUP", 1n).setLine("TEA", 1n);
  await visit.next();
  expect(await visit.next()).toMatchObject({
    case: "cart",
    value: { lines: [{ line: { sku: "TEA" } }, { line: { sku: "CUP" } }] },
  });
  visit.say(place());
  const steps: string[] = [];
  let ended;
  while (!ended) {
    const update = await visit.next();
    if (update?.case === "step") steps.push(CheckoutStepKind[update.value.kind] ?? "");
    if (update?.case === "ended") ended = update.value;
  }
  expect(steps.at(0)).toBe("STARTED");
  expect(steps.at(-1)).toBe("COMPLETED");
  expect(ended).toMatchObject({ state: CheckoutState.COMPLETED, customerId: "ada" });
  expect((await visit.hear("cart")).lines).toEqual([]);
  visit.end();
  expect(await visit.next()).toBeUndefined();
});

test("a cart is told again when the stock of a product in it changes, the latest level", async () => {
  running.warehouse.stock("POT", 5, 1_000);
  await using visit = new Conversation(client);
  visit.say(start).setLine("POT", 3n);
  expect((await visit.hear("cart")).available).toBe(true);
  running.warehouse.stock("POT", 4);
  expect(await visit.hear("cart")).toMatchObject({ available: true, lines: [{ available: 4n }] });
  running.warehouse.stock("POT", 2);
  expect(await visit.hear("cart")).toMatchObject({ available: false, lines: [{ available: 2n }] });
  visit.setLine("POT", 0n);
  expect((await visit.hear("cart")).lines).toEqual([]);
  await soon(() => expect(running.warehouse.openWatches).toBe(0));
});

test("a wrong edit is rejected and changes nothing", async () => {
  await using visit = new Conversation(client);
  visit.say(start).setLine("TEA", 1n);
  await visit.hear("cart");
  visit.setLine("NONE", 1n);
  expect(await visit.next()).toMatchObject({
    case: "rejection",
    value: { reason: Reason.PRODUCT_NOT_FOUND },
  });
  visit.setLine("CUP", 1n);
  expect((await visit.hear("cart")).lines.map(({ line }) => line?.sku)).toEqual(["TEA", "CUP"]);
});

test("a purchase that is refused keeps the cart; one that cannot begin is rejected", async () => {
  await using visit = new Conversation(client);
  visit.say(start).say(place());
  expect(await visit.hear("rejection")).toMatchObject({ reason: Reason.UNSPECIFIED });
  visit.say(place({ quoteId: newId("quo") }));
  expect(await visit.hear("rejection")).toMatchObject({ reason: Reason.QUOTE_NOT_FOUND });
  visit.setLine("TEA", 1n);
  await visit.hear("cart");
  visit.say(place({ paymentToken: "tok_decline" }));
  expect(await visit.hear("ended")).toMatchObject({
    state: CheckoutState.REFUSED,
    refusal: Reason.PAYMENT_DECLINED,
  });
  visit.say(place());
  expect(await visit.hear("ended")).toMatchObject({ state: CheckoutState.COMPLETED });
});

test("a customer is offered the quotes that he can buy, and buys one", async () => {
  const lines = [{ sku: "TEA", quantity: 100n, unitPrice: tea }];
  const quoteId = newId("quo");
  await client.createQuote({ quoteId, customerId: "eve", lines });
  await client.createQuote({ quoteId: newId("quo"), customerId: "bob", lines });
  await client.createQuote({ quoteId: newId("quo"), lines });
  const visit = () => new Conversation(client).say({ case: "start", value: { customerId: "eve" } });
  await using first = visit();
  expect((await first.hear("offers")).quotes).toMatchObject([{ quoteId, total: { units: 200n } }]);
  first.say(place({ quoteId }));
  expect(await first.hear("ended")).toMatchObject({ state: CheckoutState.COMPLETED, quoteId });
  await using second = visit();
  expect((await second.hear("offers")).quotes).toEqual([]);
  await using guest = new Conversation(client).say({ case: "start", value: {} });
  expect((await guest.hear("offers")).quotes).toEqual([]);
});

test("a visit begins with start, once", async () => {
  for (const visit of [
    new Conversation(client).setLine("TEA", 1n),
    new Conversation(client).say(start).say(start),
  ]) {
    const failure = await visit.hear("ended").catch((e: unknown) => e);
    expect(failure).toMatchObject({ code: Code.InvalidArgument });
    expect(reasonOf(failure)?.reason).toBe("SESSION_OUT_OF_ORDER");
  }
});

test("a visitor who says no more still gets the end of what he began", async () => {
  const visit = new Conversation(client);
  visit
    .say(start)
    .setLine("TEA", 1n)
    .say(place({ paymentToken: "tok_slow" }))
    .end();
  expect(await visit.hear("ended")).toMatchObject({ state: CheckoutState.COMPLETED });
  expect(await visit.next()).toMatchObject({ case: "cart" });
  expect(await visit.next()).toBeUndefined();
});

test("a visitor who hangs up leaves no watch open, and his purchase goes on", async () => {
  const checkoutId = newId("chk");
  const visit = new Conversation(client);
  visit
    .say(start)
    .setLine("CUP", 1n)
    .say(place({ checkoutId, paymentToken: "tok_slow" }));
  await visit.hear("step");
  expect(running.warehouse.openWatches).toBeGreaterThan(0);
  visit.leave();
  await soon(() => expect(running.warehouse.openWatches).toBe(0));
  await soon(async () => {
    const { checkout } = await client.getCheckout({ checkoutId });
    expect(checkout?.state).toBe(CheckoutState.COMPLETED);
  });
});

test("a watch of stock that breaks is opened again", async () => {
  running.warehouse.stock("MUG", 9, 500);
  await using visit = new Conversation(client);
  visit.say(start).setLine("MUG", 1n);
  await visit.hear("cart");
  await soon(() => expect(running.warehouse.openWatches).toBe(1));
  running.warehouse.breakWatches();
  running.warehouse.stock("MUG", 7);
  expect(await visit.hear("cart")).toMatchObject({ lines: [{ available: 7n }] });
});
