import { CheckoutState, CheckoutStepKind } from "@emporium/contracts/checkout/v1";
import { PreconditionFailureSchema } from "@emporium/contracts/google/rpc";
import { Code, ConnectError, findDetail, reasonOf } from "@emporium/grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audit } from "./audit.js";
import type { Fault } from "./faults.js";
import { NO_TAKEOVER, purchase, type Replica, Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;
let replica: Replica;

beforeAll(async () => {
  shop = await Shop.open(stack);
  replica = await shop.startReplica();
});
afterAll(() => stack.disposeAsync());

const { signal } = new AbortController();

const BOUGHT = [
  "STARTED",
  "STOCK_RESERVED",
  "PAYMENT_AUTHORIZED",
  "ORDER_CREATED",
  "STOCK_COMMITTED",
  "COMPLETED",
];

/** Buys, and gives what the books say afterwards and how the call failed. */
async function buy(request = purchase(), from = replica) {
  const failure = await from.purchases.complete(request, signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  const books = await audit(shop, request.checkoutId);
  return { request, failure, reason: reasonOf(failure)?.reason, books };
}

test("a purchase ends with an order, sold stock and a captured payment", async () => {
  const request = purchase();
  const checkout = await replica.purchases.complete(request, signal);
  expect(checkout).toMatchObject({
    state: CheckoutState.COMPLETED,
    total: { currencyCode: "GBP", units: 15n, nanos: 990_000_000 },
    orderId: request.checkoutId.replace("chk", "ord"),
    lines: [{ sku: "TEA", title: "Product TEA" }, { sku: "CUP" }, { sku: "TEA" }],
  });
  expect(await audit(shop, request.checkoutId)).toMatchObject({ steps: BOUGHT });
});

test("lines of one product are reserved together and ordered apart", async () => {
  const { request } = await buy();
  const id = request.checkoutId.slice(3);
  const reserved = shop.warehouse.reservations.get(`rsv${id}`)?.request?.lines;
  expect(reserved?.map(({ sku, quantity }) => [sku, quantity])).toEqual([
    ["TEA", 2n],
    ["CUP", 1n],
  ]);
  const order = shop.orderBook.orders.get(`ord${id}`)?.request;
  expect(order).toMatchObject({
    checkoutId: request.checkoutId,
    customerId: "ada",
    lines: [{ sku: "TEA" }, { sku: "CUP" }, { sku: "TEA" }],
    shippingAddress: { recipient: "Ada" },
  });
});

describe.concurrent("an answer that does not come is asked for again", () => {
  const calls = ["reserveStock", "authorize", "createOrder", "commitReservation", "capture"];
  const faults: Fault[] = ["failed", "lost", "stuck", "unanswered"];
  const cases = calls.flatMap((call) => faults.map((fault) => ({ call, fault })));

  test.for(cases)("$call $fault, and the purchase succeeds", async ({ call, fault }) => {
    const request = purchase();
    shop.faults.add(request.checkoutId, call, fault, "failed");
    const { failure, books } = await buy(request);
    expect(failure).toBeUndefined();
    expect(books).toMatchObject({ state: "COMPLETED", steps: BOUGHT });
  });
});

describe.concurrent("a refusal undoes what was done", () => {
  const refusals = [
    {
      call: "reserveStock",
      reason: "OUT_OF_STOCK",
      steps: ["STARTED", "REFUSED"],
    },
    {
      call: "commitReservation",
      reason: "RESERVATION_EXPIRED",
      steps: [
        ...BOUGHT.slice(0, 4),
        "COMPENSATING",
        "ORDER_CANCELLED",
        "PAYMENT_VOIDED",
        "STOCK_RELEASED",
        "REFUSED",
      ],
    },
  ];
  test.for(refusals)("$call refused: $reason", async ({ call, reason, steps }) => {
    const request = purchase();
    shop.faults.refuse(request.checkoutId, call);
    const refused = await buy(request);
    expect(refused).toMatchObject({ reason, books: { state: "REFUSED", refusal: reason, steps } });
  });

  test("a declined payment gives the stock back", async () => {
    const { reason, books } = await buy(purchase({ paymentToken: "tok_decline" }));
    expect(reason).toBe("PAYMENT_DECLINED");
    expect(books).toMatchObject({
      ledger: "decline",
      reservation: "RELEASED",
      order: undefined,
      steps: ["STARTED", "STOCK_RESERVED", "COMPENSATING", "STOCK_RELEASED", "REFUSED"],
    });
  });

  test("an order that orders will not have is an error of ours, and nothing is left", async () => {
    const request = purchase();
    shop.faults.refuse(request.checkoutId, "createOrder");
    const { failure, books } = await buy(request);
    expect(failure).not.toBeInstanceOf(ConnectError);
    expect(books).toMatchObject({ state: "REFUSED", refusal: "UNSPECIFIED", order: undefined });
    expect(books.ledger).toBe("authorize,void");
  });

  const undoing = ["findOrClose", "createOrder", "cancelOrder", "void", "releaseReservation"];
  const faults: Fault[] = ["failed", "lost", "stuck", "unanswered"];
  const cases = undoing.flatMap((call) => faults.map((fault) => ({ call, fault })));

  test.for(cases)("also when $call is $fault on the way back", async ({ call, fault }) => {
    const request = purchase();
    const { checkoutId } = request;
    shop.faults.refuse(checkoutId, "commitReservation");
    // The order is created on the way there, too.
    if (call === "createOrder") shop.faults.add(checkoutId, call, "done");
    shop.faults.add(checkoutId, call, fault, "failed");
    const { reason, books } = await buy(request);
    expect(reason).toBe("RESERVATION_EXPIRED");
    expect(books).toMatchObject({ ledger: "authorize,void", order: "CANCELLED" });
  });

  test("a refusal is remembered with its details, and what was refused is not tried again", async () => {
    const request = purchase();
    shop.faults.refuse(request.checkoutId, "reserveStock");
    const { failure } = await buy(request);
    const violations = findDetail(failure, PreconditionFailureSchema)?.violations;
    expect(violations).toMatchObject([{ type: "STOCK", subject: "TEA" }]);
    const again = await buy(request);
    expect(again.failure).toMatchObject({ code: Code.FailedPrecondition });
    expect(findDetail(again.failure, PreconditionFailureSchema)?.violations).toEqual(violations);
    expect(shop.faults.count(request.checkoutId, "reserveStock")).toBe(1);
  });
});

describe.concurrent("the payment provider", () => {
  test.for(["tok_approve", "tok_slow", "tok_flaky", "tok_answer_lost"])(
    "%s is charged once",
    async (paymentToken) => {
      const { failure, books } = await buy(purchase({ paymentToken }));
      expect(failure).toBeUndefined();
      expect(books.ledger).toBe("authorize,capture");
    },
  );

  test("one that takes longer than a call is asked again, until it has authorized", async () => {
    const impatient = await shop.startReplica({ callMs: 150, ...NO_TAKEOVER });
    const request = purchase({ paymentToken: "tok_slow" });
    await impatient.purchases.complete(request, signal);
    expect((await audit(shop, request.checkoutId)).ledger).toBe("authorize,capture");
    expect(shop.faults.count(request.checkoutId, "authorize")).toBeGreaterThan(1);
  });

  test("an unknown token is declined", async () => {
    expect((await buy(purchase({ paymentToken: "4111" }))).reason).toBe("PAYMENT_DECLINED");
  });

  test("a provider that is down has closed the payment before the purchase is refused", async () => {
    const hasty = await shop.startReplica({ authorizeMs: 300, ...NO_TAKEOVER });
    const { reason, books } = await buy(purchase({ paymentToken: "tok_down" }), hasty);
    expect(reason).toBe("PAYMENT_UNAVAILABLE");
    expect(books).toMatchObject({ ledger: "close", reservation: "RELEASED", order: undefined });
  });

  test("a payment that was authorized behind lost answers is found in the end", async () => {
    const lost: Fault[] = Array.from({ length: 50 }, () => "lost");
    const request = purchase();
    shop.faults.add(request.checkoutId, "authorize", ...lost);
    const patient = await shop.startReplica({ authorizeMs: 2_000, ...NO_TAKEOVER });
    const { failure, books } = await buy(request, patient);
    expect(failure).toBeUndefined();
    expect(books.state).toBe("COMPLETED");
  });

  test("the payment token stands nowhere in the database", async () => {
    const { request } = await buy(purchase({ paymentToken: "tok_secret_4111" }));
    const rows = await shop.database.query<{ row: string }>(
      undefined,
      `SELECT checkouts::text AS row FROM checkouts WHERE checkout_id = $1
       UNION ALL SELECT encode(payload, 'escape') FROM outbox WHERE aggregate_id = $1`,
      [request.checkoutId],
    );
    expect(rows.length).toBeGreaterThan(1);
    expect(rows.map(({ row }) => row).join()).not.toContain("secret");
  });
});

test("a quick checkout takes three statements, of which two are commits, and four calls", async () => {
  const quick = await shop.startReplica({ lingerMs: 5_000, ...NO_TAKEOVER });
  const request = purchase();
  const calls = shop.faults.calls.length;
  await quick.purchases.complete(request, signal);
  // Looks for the id; writes the row with its first step; writes the end with all steps.
  expect(quick.statements).toEqual(["SELECT", "INSERT", "UPDATE"]);
  const [commits] = await shop.database.query<{ count: bigint }>(
    undefined,
    `SELECT count(DISTINCT xmin::text) AS count FROM outbox WHERE aggregate_id = $1`,
    [request.checkoutId],
  );
  expect(commits?.count).toBe(2n);
  expect(shop.faults.calls.slice(calls).map((call) => call.split(" ")[0])).toEqual([
    "checkStock",
    "reserveStock",
    "authorize",
    "createOrder",
    "commitReservation",
    "capture",
  ]);
  const { checkout, steps } = await quick.timeline.get(request.checkoutId, signal);
  expect(checkout.state).toBe(CheckoutState.COMPLETED);
  expect(steps.map(({ kind }) => CheckoutStepKind[kind])).toEqual(BOUGHT);
});
