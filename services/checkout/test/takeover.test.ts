import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf } from "@emporium/grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FaultPointName } from "../src/fault-points.js";
import { audit } from "./audit.js";
import { soon } from "./soon.js";
import { NO_TAKEOVER, purchase, type Replica, Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;
let survivor: Replica;

beforeAll(async () => {
  shop = await Shop.open(stack);
  survivor = await shop.startReplica();
});
afterAll(() => stack.disposeAsync());

const { signal } = new AbortController();

/** Starts a purchase on a replica of its own that stops at this place; its lease is given away. */
async function stopAt(
  place: FaultPointName,
  request = purchase(),
  lease: "released" | "overrun" = "released",
) {
  const stopped = await shop.startReplica(NO_TAKEOVER);
  const cut = stopped.cutPowerAt(place);
  const answer = stopped.purchases.complete(request, signal).then(
    () => "COMPLETED",
    (error: unknown) => reasonOf(error)?.reason,
  );
  await cut;
  if (lease === "released") await shop.releaseLeases(request.checkoutId);
  else await shop.overrunLease(request.checkoutId);
  return { stopped, answer, checkoutId: request.checkoutId };
}

/** What the survivor makes of it, and that the stopped one changes nothing when it goes on. */
async function survive({ stopped, answer, checkoutId }: Awaited<ReturnType<typeof stopAt>>) {
  await survivor.timeline.end(checkoutId, signal);
  const books = await audit(shop, checkoutId);
  stopped.restorePower();
  const said = await answer;
  await stopped[Symbol.asyncDispose]();
  expect(await audit(shop, checkoutId)).toEqual(books);
  expect(said).toBe(books.state === "REFUSED" ? books.refusal : books.state);
  return books;
}

describe.concurrent("a process that dies is taken over by another, and wakes up in vain", () => {
  const unpaid: FaultPointName[] = [
    "after-start",
    "before-reserve",
    "after-reserve",
    "before-authorize",
  ];
  test.for(unpaid)("%s: nothing was authorized, so nothing is bought", async (place) => {
    const books = await survive(await stopAt(place));
    expect(books).toMatchObject({ refusal: "PAYMENT_UNAVAILABLE", ledger: "close" });
    expect(books.steps).toContain("TAKEN_OVER");
  });

  const paid: FaultPointName[] = [
    "after-authorize",
    "before-create-order",
    "after-create-order",
    "before-commit-reservation",
    "after-commit-reservation",
    "before-capture",
    "after-capture",
    "before-complete",
  ];
  test.for(paid)("%s: it was authorized, so it is bought", async (place) => {
    const books = await survive(await stopAt(place));
    expect(books).toMatchObject({ state: "COMPLETED" });
    expect(books.steps).toContain("TAKEN_OVER");
  });

  const undoing: FaultPointName[] = [
    "before-turn-back",
    "after-turn-back",
    "before-find-payment",
    "after-find-payment",
    "before-call-off-order",
    "after-call-off-order",
    "before-void",
    "after-void",
    "before-release",
    "after-release",
    "before-refuse",
  ];
  test.for(undoing)("%s: it is undone to the end", async (place) => {
    const request = purchase();
    shop.faults.refuse(request.checkoutId, "commitReservation");
    const books = await survive(await stopAt(place, request));
    expect(books).toMatchObject({
      refusal: "RESERVATION_EXPIRED",
      ledger: "authorize,void",
      order: "CANCELLED",
    });
    for (const step of ["ORDER_CANCELLED", "PAYMENT_VOIDED", "STOCK_RELEASED"])
      expect(books.steps.filter((kind) => kind === step)).toHaveLength(1);
  });

  test.for<FaultPointName>(["after-complete", "after-refuse"])("%s: it was over", async (place) => {
    const request = purchase();
    if (place === "after-refuse") shop.faults.refuse(request.checkoutId, "reserveStock");
    const books = await survive(await stopAt(place, request));
    expect(books.steps).not.toContain("TAKEN_OVER");
  });
});

test("a process that never wrote the checkout down leaves nothing of it", async () => {
  const request = purchase();
  const stopped = await shop.startReplica(NO_TAKEOVER);
  const cut = stopped.cutPowerAt("before-start");
  const answer = stopped.purchases.complete(request, signal);
  await cut;
  const where = { checkoutId: request.checkoutId };
  expect(await shop.database.prisma.checkout.count({ where })).toBe(0);
  stopped.restorePower();
  await answer;
  await audit(shop, request.checkoutId);
});

test("a process that lost its lease before it asked for the order gets none", async () => {
  const sleeper = await stopAt("before-create-order");
  shop.warehouse.expire(sleeper.checkoutId);
  const books = await survive(sleeper);
  expect(books).toMatchObject({ refusal: "RESERVATION_EXPIRED", order: undefined });
});

test("a payment asked for behind the back of whoever closed it is refused", async () => {
  const sleeper = await stopAt("before-authorize");
  const books = await survive(sleeper);
  expect(books).toMatchObject({
    refusal: "PAYMENT_UNAVAILABLE",
    ledger: "close",
    order: undefined,
  });
});

test("what is sold stays sold, also when orders says no to the order that it has", async () => {
  const sleeper = await stopAt("after-commit-reservation");
  const { checkoutId } = sleeper;
  shop.faults.refuse(checkoutId, "createOrder");
  await soon(() => expect(shop.faults.count(checkoutId, "createOrder")).toBeGreaterThan(2));
  shop.faults.allow(checkoutId, "createOrder");
  expect(await survive(sleeper)).toMatchObject({ state: "COMPLETED" });
});

test("two that take over at once do not get the same checkout", async () => {
  const others = await Promise.all([1, 2, 3].map(() => shop.startReplica()));
  const sleepers = await Promise.all(Array.from({ length: 6 }, () => stopAt("after-authorize")));
  const all = await Promise.all(sleepers.map(survive));
  for (const { steps } of all)
    expect(steps.filter((kind) => kind === "TAKEN_OVER")).toHaveLength(1);
  await Promise.all(others.map((other) => other[Symbol.asyncDispose]()));
});

test("a lease is renewed for as long as its checkout runs", async () => {
  await using patient = await shop.startReplica({ leaseMs: 900, callMs: 700 });
  const request = purchase();
  shop.faults.add(request.checkoutId, "createOrder", "stuck", "stuck");
  await patient.purchases.complete(request, signal);
  const { steps } = await audit(shop, request.checkoutId);
  expect(steps).not.toContain("TAKEN_OVER");
});

test("a checkout whose lease ran out stays with its owner while that lives", async () => {
  await using owner = await shop.startReplica({ leaseMs: 3_000, callMs: 6_000 });
  await using _other = await shop.startReplica({ leaseMs: 3_000 });
  const request = purchase();
  shop.faults.add(request.checkoutId, "createOrder", "stuck");
  const answer = owner.purchases.complete(request, signal);
  await soon(() => expect(shop.faults.count(request.checkoutId, "createOrder")).toBe(1));
  for (let stalls = 0; stalls < 3; stalls++) {
    await shop.overrunLease(request.checkoutId);
    await soon(async () => expect(await leaseLeftMs(request.checkoutId)).toBeGreaterThan(0));
  }
  await answer;
  const books = await audit(shop, request.checkoutId);
  expect(books).toMatchObject({ state: "COMPLETED" });
  expect(books.steps).not.toContain("TAKEN_OVER");
});

test("a checkout whose owner is dead is taken over, without the owner's help", async () => {
  const { stopped, answer, checkoutId } = await stopAt("after-authorize", purchase(), "overrun");
  await using taker = await shop.startReplica({ leaseMs: 200 });
  await taker.timeline.end(checkoutId, signal);
  expect(await audit(shop, checkoutId)).toMatchObject({ state: "COMPLETED" });
  stopped.restorePower();
  expect(await answer).toBe("COMPLETED");
});

test("a customer who asks again brings the token with which another process goes on", async () => {
  const request = purchase();
  const { stopped, answer } = await stopAt("before-authorize", request, "overrun");
  await using taker = await shop.startReplica({ leaseMs: 200 });
  const { checkoutId } = await taker.purchases.complete(request, signal);
  const books = await audit(shop, checkoutId);
  expect(books).toMatchObject({ state: "COMPLETED" });
  expect(books.steps).toContain("TAKEN_OVER");
  stopped.restorePower();
  expect(await answer).toBe("COMPLETED");
});

/** Milliseconds that a lease still lasts, by the database's clock. */
async function leaseLeftMs(checkoutId: string): Promise<number> {
  const sql = `SELECT (extract(epoch FROM lease_until - now()) * 1000)::float8 AS left
    FROM checkouts WHERE checkout_id = $1`;
  const [row] = await shop.database.query<{ left: number }>(undefined, sql, [checkoutId]);
  return row!.left;
}

test("a checkout that a replica could not finish in its time is taken up again", async () => {
  const hasty = await shop.startReplica({ budgetMs: 150, leaseMs: 200 });
  const request = purchase();
  shop.faults.add(request.checkoutId, "createOrder", "stuck", "stuck");
  await hasty.purchases.complete(request, signal);
  expect(await audit(shop, request.checkoutId)).toMatchObject({ state: "COMPLETED" });
});

test("a process that ends gives its leases away and lets others finish", async () => {
  const request = purchase();
  const leaving = await shop.startReplica({ callMs: 5_000 });
  shop.faults.add(request.checkoutId, "createOrder", "stuck");
  const row = await leaving.purchases.start(request, signal);
  while (shop.faults.count(request.checkoutId, "createOrder") === 0) await sleep(5);
  await leaving[Symbol.asyncDispose]();
  expect(row.endTime).toBeNull();
  await survivor.timeline.end(request.checkoutId, signal);
  expect(await audit(shop, request.checkoutId)).toMatchObject({ state: "COMPLETED" });
});
