import { createLogger, newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findCheckout, insertCheckout } from "../src/checkouts.js";
import type { CheckoutRow } from "../src/checkout-row.js";
import { Journal, LeaseLost } from "../src/journal.js";
import { Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;

beforeAll(async () => {
  shop = await Shop.open(stack);
});
afterAll(() => stack.disposeAsync());

const { signal } = new AbortController();
const log = createLogger({ name: "checkout", level: "silent" });

async function writtenDown(): Promise<CheckoutRow> {
  const createTime = shop.clock.now();
  const checkout: CheckoutRow = {
    checkoutId: newId("chk"),
    customerId: "ada",
    quoteId: null,
    state: "RUNNING",
    currency: "GBP",
    total: 250n,
    lines: [{ sku: "TEA", title: "Tea", quantity: 1n, unitPrice: 250n }],
    shippingAddress: null,
    refusal: null,
    steps: [{ kind: "STARTED", time: createTime.toISOString() }],
    contentHash: Buffer.from("content"),
    createTime,
    endTime: null,
    fence: 1,
  };
  const lease = { owner: crypto.randomUUID(), milliseconds: 60_000 };
  expect(await insertCheckout(shop.database, checkout, lease)).toBe(true);
  return checkout;
}

/** A journal of the row as it stands now. */
async function open(
  checkoutId: string,
  {
    database = shop.database,
    lingerMs = 60_000,
    onLeaseLost = (error: Error): void => log.info(error),
  } = {},
) {
  const checkout = (await findCheckout(shop.database, checkoutId, signal))!;
  return new Journal(checkout, {
    database,
    clock: shop.clock,
    log,
    leaseMs: 60_000,
    lingerMs,
    signal,
    onLeaseLost,
  });
}

const takeOver = (checkoutId: string) =>
  shop.database.prisma.checkout.update({
    where: { checkoutId },
    data: { fence: { increment: 1 } },
  });

const kindsOf = async (checkoutId: string) =>
  (await findCheckout(shop.database, checkoutId, signal))?.steps.map(({ kind }) => kind);

const versionsOf = async (aggregateId: string) =>
  (
    await shop.database.prisma.outbox.findMany({
      where: { aggregateId },
      orderBy: { version: "asc" },
    })
  ).map(({ version }) => Number(version));

test("a writer whose lease was taken changes nothing, neither row nor events", async () => {
  const { checkoutId } = await writtenDown();
  using zombie = await open(checkoutId);
  await takeOver(checkoutId);
  zombie.did("STOCK_RESERVED");
  await expect(zombie.complete()).rejects.toBeInstanceOf(LeaseLost);
  await expect(
    zombie.turnBack({ reason: "OUT_OF_STOCK", message: "", violations: [] }),
  ).rejects.toBeInstanceOf(LeaseLost);
  expect(zombie.checkout.endTime).toBeNull();
  expect(await kindsOf(checkoutId)).toEqual(["STARTED"]);
  expect(await versionsOf(checkoutId)).toEqual([1]);
});

test("a step that waits alone is written soon, and its writer learns of a lost lease", async () => {
  const { checkoutId } = await writtenDown();
  const lost = Promise.withResolvers<Error>();
  using journal = await open(checkoutId, { lingerMs: 1, onLeaseLost: lost.resolve });
  await takeOver(checkoutId);
  journal.did("STOCK_RESERVED");
  expect(await lost.promise).toBeInstanceOf(LeaseLost);
});

test("what happened before a takeover is not told again", async () => {
  const { checkoutId } = await writtenDown();
  using before = await open(checkoutId);
  before.did("STOCK_RESERVED");
  await before.turnBack({ reason: "PAYMENT_DECLINED", message: "no", violations: [] });
  await takeOver(checkoutId);
  using after = await open(checkoutId);
  after.did("TAKEN_OVER");
  after.did("STOCK_RESERVED");
  await after.turnBack({ reason: "OUT_OF_STOCK", message: "other", violations: [] });
  await after.refuse(after.checkout.refusal!);
  const row = await findCheckout(shop.database, checkoutId, signal);
  expect(row).toMatchObject({ state: "REFUSED", refusal: { reason: "PAYMENT_DECLINED" } });
  expect(row?.steps.map(({ kind }) => kind)).toEqual([
    "STARTED",
    "STOCK_RESERVED",
    "COMPENSATING",
    "TAKEN_OVER",
    "REFUSED",
  ]);
  expect(await versionsOf(checkoutId)).toEqual([1, 2, 3, 4, 5]);
});

test("an end whose answer was lost is written once", async () => {
  const { checkoutId } = await writtenDown();
  let losses = 2;
  const query: typeof shop.database.query = async (...parameters) => {
    const rows = await shop.database.query(...parameters);
    if (parameters[1].includes("UPDATE") && losses-- > 0) throw new Error("connection reset");
    return rows as never;
  };
  const lossy = new Proxy(shop.database, {
    get: (target, key) => {
      if (key === "query") return query;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  using journal = await open(checkoutId, { database: lossy, lingerMs: 1 });
  journal.did("STOCK_RESERVED");
  await new Promise((resolve) => setTimeout(resolve, 5));
  journal.did("PAYMENT_AUTHORIZED");
  await journal.complete();
  expect(journal.checkout).toMatchObject({ state: "COMPLETED", endTime: shop.clock.now() });
  expect(await kindsOf(checkoutId)).toEqual([
    "STARTED",
    "STOCK_RESERVED",
    "PAYMENT_AUTHORIZED",
    "COMPLETED",
  ]);
  expect(await versionsOf(checkoutId)).toEqual([1, 2, 3, 4]);
});

test("an id or a quote that is taken is not written down twice", async () => {
  const checkout = await writtenDown();
  const lease = { owner: crypto.randomUUID(), milliseconds: 60_000 };
  expect(await insertCheckout(shop.database, checkout, lease)).toBe(false);
  const [quoteId, other] = [newId("quo"), newId("chk")];
  const quoted = { ...checkout, checkoutId: newId("chk"), quoteId };
  expect(await insertCheckout(shop.database, quoted, lease)).toBe(true);
  const again = { ...quoted, checkoutId: other };
  expect(await insertCheckout(shop.database, again, lease)).toBe(false);
  expect(await versionsOf(other)).toEqual([]);
});
