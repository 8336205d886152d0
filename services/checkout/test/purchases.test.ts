import { CheckoutState, CheckoutStepKind } from "@emporium/contracts/checkout/v1";
import { BadRequestSchema, ResourceInfoSchema } from "@emporium/contracts/google/rpc";
import { Code, findDetail, reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audit } from "./audit.js";
import { cart, purchase, type Replica, Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;
let here: Replica;
let there: Replica;

beforeAll(async () => {
  shop = await Shop.open(stack);
  [here, there] = await Promise.all([shop.startReplica(), shop.startReplica()]);
});
afterAll(() => stack.disposeAsync());

const { signal } = new AbortController();

describe("the same purchase again", () => {
  test("gets the first answer, also from another replica and with another token", async () => {
    const request = purchase();
    const first = await here.purchases.complete(request, signal);
    const again = { ...request, paymentToken: "tok_decline" };
    expect(await here.purchases.complete(again, signal)).toEqual(first);
    expect(await there.purchases.complete(again, signal)).toEqual(first);
    expect(shop.faults.count(request.checkoutId, "authorize")).toBe(1);
  });

  test("at the same moment joins the one that runs, here and elsewhere", async () => {
    const request = purchase({ paymentToken: "tok_slow" });
    const all = [here, there, here, there, here].map(({ purchases }) =>
      purchases.complete(request, signal),
    );
    const answers = await Promise.all(all);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(shop.faults.count(request.checkoutId, "reserveStock")).toBe(1);
    expect(await audit(shop, request.checkoutId)).toMatchObject({ ledger: "authorize,capture" });
  });

  test("with other content is another purchase, and refused", async () => {
    const request = purchase();
    await here.purchases.complete(request, signal);
    const others = [
      purchase({ checkoutId: request.checkoutId, customerId: "bob" }),
      purchase({ checkoutId: request.checkoutId, basket: cart({ TEA: 3n }) }),
    ];
    for (const other of others) {
      const failure = await there.purchases.complete(other, signal).catch((e: unknown) => e);
      expect(failure).toMatchObject({ code: Code.AlreadyExists });
      expect(reasonOf(failure)?.reason).toBe("CHECKOUT_MISMATCH");
      expect(findDetail(failure, ResourceInfoSchema)).toMatchObject({
        resourceType: "emporium.checkout.v1.Checkout",
        resourceName: request.checkoutId,
      });
    }
  });

  test("is compared before its products are looked for", async () => {
    const request = purchase();
    await here.purchases.complete(request, signal);
    const other = purchase({ checkoutId: request.checkoutId, basket: cart({ NONE: 1n }) });
    const failure = await here.purchases.complete(other, signal).catch((e: unknown) => e);
    expect(reasonOf(failure)?.reason).toBe("CHECKOUT_MISMATCH");
  });
});

describe("a purchase that is refused before it is written down", () => {
  test("names each line whose product does not exist, and is not remembered", async () => {
    const request = purchase({
      basket: cart({ TEA: 1n }, { NONE: 1n }, { NIL: 1n }, { NONE: 2n }),
    });
    const failure = await here.purchases.complete(request, signal).catch((e: unknown) => e);
    expect(failure).toMatchObject({ code: Code.NotFound });
    expect(reasonOf(failure)?.reason).toBe("PRODUCT_NOT_FOUND");
    const fields = findDetail(failure, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
    expect(fields).toEqual(["cart.lines[1].sku", "cart.lines[2].sku", "cart.lines[3].sku"]);
    shop.warehouse.stock("NONE", 10, 100);
    shop.warehouse.stock("NIL", 10, 100);
    const checkout = await here.purchases.complete(request, signal);
    expect(checkout.state).toBe(CheckoutState.COMPLETED);
  });

  test("a product without a price is not for sale", async () => {
    shop.warehouse.stock("GIFT", 10);
    const request = purchase({ basket: cart({ GIFT: 1n }) });
    const failure = await here.purchases.complete(request, signal).catch((e: unknown) => e);
    expect(reasonOf(failure)?.reason).toBe("PRODUCT_NOT_FOUND");
  });

  test("more units of a product than can be reserved at once are an invalid request", async () => {
    const request = purchase({ basket: cart({ TEA: 600_000n }, { CUP: 1n }, { TEA: 600_000n }) });
    const failure = await here.purchases.complete(request, signal).catch((e: unknown) => e);
    expect(reasonOf(failure)?.reason).toBe("INVALID_REQUEST");
    const fields = findDetail(failure, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
    expect(fields).toEqual(["cart.lines[0].quantity", "cart.lines[2].quantity"]);
  });
});

describe("a caller that leaves", () => {
  test("does not stop the purchase", async () => {
    const request = purchase({ paymentToken: "tok_slow" });
    const caller = new AbortController();
    const row = await here.purchases.start(request, caller.signal);
    const answer = here.purchases.end(row, caller.signal);
    caller.abort(new Error("gone"));
    await expect(answer).rejects.toThrow("gone");
    const checkout = await here.purchases.complete(request, signal);
    expect(checkout.state).toBe(CheckoutState.COMPLETED);
  });
});

describe("watching a checkout", () => {
  const stepsOf = async (replica: Replica, checkoutId: string, token = "") => {
    const seen = [];
    for await (const message of replica.timeline.resume(checkoutId, token, signal))
      seen.push(message);
    return seen;
  };
  const kinds = (messages: Awaited<ReturnType<typeof stepsOf>>) =>
    messages.map(({ step }) => step && CheckoutStepKind[step.kind]);
  const BOUGHT = [
    "STARTED",
    "STOCK_RESERVED",
    "PAYMENT_AUTHORIZED",
    "ORDER_CREATED",
    "STOCK_COMMITTED",
    "COMPLETED",
  ];

  test("tells its steps as they happen, on any replica", async () => {
    const request = purchase({ paymentToken: "tok_slow" });
    await here.purchases.start(request, signal);
    const [seenHere, seenThere] = await Promise.all([
      stepsOf(here, request.checkoutId),
      stepsOf(there, request.checkoutId),
    ]);
    expect(kinds(seenHere)).toEqual(BOUGHT);
    expect(seenThere).toEqual(seenHere);
    const states = seenHere.map(({ checkout }) => checkout && CheckoutState[checkout.state]);
    expect(states).toEqual([...Array<string>(5).fill("RUNNING"), "COMPLETED"]);
    expect(seenHere.map(({ checkout }) => checkout?.orderId)).toEqual([
      ...Array<string>(5).fill(""),
      request.checkoutId.replace("chk", "ord"),
    ]);
  });

  test("resumes after any step, and has nothing to add after the last", async () => {
    const request = purchase();
    await here.purchases.complete(request, signal);
    const all = await stepsOf(here, request.checkoutId);
    for (const [index, { resumeToken }] of all.entries())
      expect(await stepsOf(there, request.checkoutId, resumeToken)).toEqual(all.slice(index + 1));
  });

  test("tells how a refused one came to nothing", async () => {
    const request = purchase({ paymentToken: "tok_decline" });
    await here.purchases.complete(request, signal).catch(() => undefined);
    const seen = await stepsOf(there, request.checkoutId);
    expect(kinds(seen)).toContain("COMPENSATING");
    const last = seen.at(-1);
    expect(last?.step?.detail).toBe("The payment was declined");
    expect(last?.checkout).toMatchObject({ state: CheckoutState.REFUSED, refusal: 5 });
    const { checkout, steps } = await here.timeline.get(request.checkoutId, signal);
    expect(checkout).toEqual(last?.checkout);
    expect(steps).toEqual(seen.map(({ step }) => step));
  });

  test("refuses tokens that it never gave out", async () => {
    const [one, other] = [purchase(), purchase()];
    await Promise.all([one, other].map((request) => here.purchases.complete(request, signal)));
    const [first] = await stepsOf(here, other.checkoutId);
    const beyond = Buffer.from(`WatchCheckout.1 ${one.checkoutId} 99`).toString("base64url");
    for (const token of ["7", first?.resumeToken ?? "", beyond, `${first?.resumeToken}=`]) {
      const failure = await stepsOf(here, one.checkoutId, token).catch((e: unknown) => e);
      expect(reasonOf(failure)?.reason).toBe("INVALID_RESUME_TOKEN");
    }
  });

  test("knows no checkout that was never written", async () => {
    const id = newId("chk");
    for (const look of [() => stepsOf(here, id), () => here.timeline.get(id, signal)]) {
      const failure = await look().catch((e: unknown) => e);
      expect(reasonOf(failure)?.reason).toBe("CHECKOUT_NOT_FOUND");
    }
  });
});
