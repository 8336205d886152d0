import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { CheckoutState, CreateQuoteRequestSchema } from "@emporium/contracts/checkout/v1";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import { findDetail, reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { audit } from "./audit.js";
import { purchase, type Replica, Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;
let replica: Replica;

beforeAll(async () => {
  shop = await Shop.open(stack);
  replica = await shop.startReplica();
});
afterAll(() => stack.disposeAsync());

const { signal } = new AbortController();
const pounds = (units: bigint, currencyCode = "GBP") => ({
  currencyCode,
  units,
  nanos: 500_000_000,
});

function request(differs: MessageInitShape<typeof CreateQuoteRequestSchema> = {}) {
  return create(CreateQuoteRequestSchema, {
    quoteId: newId("quo"),
    customerId: "ada",
    lines: [
      { sku: "TEA", quantity: 10n, unitPrice: pounds(1n), title: "what the caller says" },
      { sku: "CUP", quantity: 2n, unitPrice: pounds(9n) },
      { sku: "TEA", quantity: 5n, unitPrice: pounds(2n) },
    ],
    ...differs,
  });
}

const makeQuote = (differs = {}) => replica.quotes.create(request(differs), signal);
const buying = (quoteId: string, differs = {}) =>
  purchase({ basket: { case: "quoteId", value: quoteId }, ...differs });
const buy = (quoteId: string, differs = {}) =>
  replica.purchases.complete(buying(quoteId, differs), signal);
const reasonFor = async (promise: Promise<unknown>) =>
  promise.then(
    () => "OK",
    (error: unknown) => reasonOf(error)?.reason,
  );

test("a quote has the catalogue's titles, its own prices, and lasts a week", async () => {
  const quote = await makeQuote();
  expect(quote).toMatchObject({
    customerId: "ada",
    lines: [
      { sku: "TEA", title: "Product TEA", quantity: 10n, unitPrice: pounds(1n) },
      { sku: "CUP", quantity: 2n },
      { sku: "TEA", quantity: 5n },
    ],
    total: { currencyCode: "GBP", units: 46n, nanos: 500_000_000 },
  });
  const lastsMs = timestampDate(quote.expireTime!).getTime() - shop.clock.now().getTime();
  expect(lastsMs).toBe(7 * 24 * 3_600_000);
});

test("the same quote again is the same, and another under its id is refused", async () => {
  const first = request();
  const quote = await replica.quotes.create(first, signal);
  shop.clock.advance(1000);
  expect(await replica.quotes.create(first, signal)).toEqual(quote);
  const others = [
    request({ quoteId: first.quoteId, customerId: "bob" }),
    request({ quoteId: first.quoteId, expireTime: quote.expireTime! }),
    request({ quoteId: first.quoteId, lines: first.lines.slice(1) }),
  ];
  for (const other of others)
    expect(await reasonFor(replica.quotes.create(other, signal))).toBe("QUOTE_MISMATCH");
});

test("two who make one quote at the same moment make one", async () => {
  const one = request();
  const quotes = await Promise.all([1, 2, 3].map(() => replica.quotes.create(one, signal)));
  expect(quotes[1]).toEqual(quotes[0]);
  expect(await shop.database.prisma.quote.count({ where: { quoteId: one.quoteId } })).toBe(1);
});

test("prices in another currency are refused, line by line, before all else", async () => {
  const { quoteId } = await makeQuote();
  const wrong = request({
    quoteId,
    lines: [
      { sku: "TEA", quantity: 1n, unitPrice: pounds(1n, "EUR") },
      { sku: "NONE", quantity: 1n, unitPrice: pounds(1n) },
      { sku: "CUP", quantity: 1n, unitPrice: pounds(1n, "") },
    ],
  });
  const failure = await replica.quotes.create(wrong, signal).catch((e: unknown) => e);
  expect(reasonOf(failure)?.reason).toBe("WRONG_CURRENCY");
  const fields = findDetail(failure, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
  expect(fields).toEqual([
    "lines[0].unit_price.currency_code",
    "lines[2].unit_price.currency_code",
  ]);
});

test("a quote for a product that does not exist names the line", async () => {
  const lines = [
    { sku: "TEA", quantity: 1n, unitPrice: pounds(1n) },
    { sku: "NONE", quantity: 1n, unitPrice: pounds(1n) },
  ];
  const failure = await makeQuote({ lines }).catch((e: unknown) => e);
  expect(reasonOf(failure)?.reason).toBe("PRODUCT_NOT_FOUND");
  expect(findDetail(failure, BadRequestSchema)?.fieldViolations[0]?.field).toBe("lines[1].sku");
});

test("a quote is bought at its prices, as a whole, once", async () => {
  const { quoteId } = await makeQuote();
  const checkout = await buy(quoteId);
  expect(checkout).toMatchObject({
    state: CheckoutState.COMPLETED,
    quoteId,
    total: { units: 46n, nanos: 500_000_000 },
  });
  expect(await reasonFor(buy(quoteId))).toBe("QUOTE_USED");
});

test("of many who buy one quote at the same moment one gets it", async () => {
  const { quoteId } = await makeQuote();
  const answers = await Promise.all(Array.from({ length: 8 }, () => reasonFor(buy(quoteId))));
  expect(answers.toSorted()).toEqual(["OK", ...Array<string>(7).fill("QUOTE_USED")]);
});

test("a quote whose checkout was refused can be bought again", async () => {
  const { quoteId } = await makeQuote();
  expect(await reasonFor(buy(quoteId, { paymentToken: "tok_decline" }))).toBe("PAYMENT_DECLINED");
  expect(await reasonFor(buy(quoteId))).toBe("OK");
});

test("a quote is nobody else's, and nobody's when there is none", async () => {
  const { quoteId } = await makeQuote();
  expect(await reasonFor(buy(quoteId, { customerId: "bob" }))).toBe("QUOTE_NOT_FOUND");
  expect(await reasonFor(buy(quoteId, { customerId: "" }))).toBe("QUOTE_NOT_FOUND");
  expect(await reasonFor(buy(newId("quo")))).toBe("QUOTE_NOT_FOUND");
});

test("a quote whose time is over is refused, also before it is seen to be used", async () => {
  const expireTime = timestampFromDate(new Date(shop.clock.now().getTime() + 60_000));
  const [used, unused] = await Promise.all([makeQuote({ expireTime }), makeQuote({ expireTime })]);
  const bought = buying(used.quoteId);
  await replica.purchases.complete(bought, signal);
  shop.clock.advance(60_000);
  expect(await reasonFor(buy(unused.quoteId))).toBe("QUOTE_EXPIRED");
  expect(await reasonFor(buy(used.quoteId))).toBe("QUOTE_EXPIRED");
  // The purchase itself is remembered for good.
  expect(await reasonFor(replica.purchases.complete(bought, signal))).toBe("OK");
  await audit(shop, bought.checkoutId);
});

test("an id that stands for a purchase is not lost to a race for another quote", async () => {
  const [one, other] = await Promise.all([makeQuote(), makeQuote()]);
  const checkoutId = newId("chk");
  const answers = await Promise.all([
    reasonFor(buy(one.quoteId, { checkoutId })),
    reasonFor(buy(other.quoteId, { checkoutId })),
  ]);
  expect(answers.toSorted()).toEqual(["CHECKOUT_MISMATCH", "OK"]);
  const free = answers[0] === "OK" ? other : one;
  expect(await reasonFor(buy(free.quoteId))).toBe("OK");
});

test("the statement that writes a quote ends when its caller leaves", async () => {
  const caller = new AbortController();
  const waits = `SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INTO quotes%'`;
  const waiting = async () => (await shop.database.query(undefined, waits)).length;
  await shop.database.transaction(undefined, async (tx) => {
    await tx.query("LOCK TABLE quotes IN SHARE MODE");
    const left = replica.quotes.create(request(), caller.signal).catch((error: unknown) => error);
    await expect.poll(waiting, { interval: 10, timeout: 5_000 }).toBe(1);
    caller.abort("left");
    expect(await left).toBe("left");
    await expect.poll(waiting, { interval: 10, timeout: 5_000 }).toBe(0);
  });
});
