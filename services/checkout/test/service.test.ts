import { CheckoutService, CheckoutState, CheckoutStepKind } from "@emporium/contracts/checkout/v1";
import { Health, HealthCheckResponse_ServingStatus } from "@emporium/contracts/grpc/health/v1";
import { type Client, Code, reasonOf } from "@emporium/grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { create } from "../src/index.js";
import { RunningCheckout } from "./running-checkout.js";
import { cart, purchase } from "./shop.js";
import { soon } from "./soon.js";

const stack = new AsyncDisposableStack();
let running: RunningCheckout;
let here: Client<typeof CheckoutService>;
let there: Client<typeof CheckoutService>;

beforeAll(async () => {
  running = await RunningCheckout.prepare(stack);
  [here, there] = await Promise.all([running.start(), running.start()]);
});
afterAll(() => stack.disposeAsync());

test("a purchase over gRPC, read and watched from another process", async () => {
  const request = purchase({ paymentToken: "tok_slow" });
  const answer = here.completeOrder(request);
  const { checkoutId } = request;
  await soon(() => there.getCheckout({ checkoutId }));
  const seen = [];
  for await (const message of there.watchCheckout({ checkoutId })) seen.push(message);
  const { checkout } = await answer;
  expect(checkout?.state).toBe(CheckoutState.COMPLETED);
  expect(seen.at(-1)?.checkout).toEqual(checkout);
  expect(seen.map(({ step }) => step?.sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  const got = await there.getCheckout({ checkoutId });
  expect(got).toMatchObject({ checkout, steps: seen.map(({ step }) => step) });
  const resumed = [];
  const { resumeToken } = seen[3]!;
  for await (const message of here.watchCheckout({ checkoutId, resumeToken }))
    resumed.push(message);
  expect(resumed).toEqual(seen.slice(4));
});

test("failures arrive with code, reason and details; what the contract forbids comes in nowhere", async () => {
  const outOfStock = purchase({ basket: cart({ RARE: 2n }) });
  running.warehouse.stock("RARE", 1, 100);
  const refused = await here.completeOrder(outOfStock).catch((e: unknown) => e);
  expect(refused).toMatchObject({ code: Code.FailedPrecondition });
  expect(reasonOf(refused)).toMatchObject({
    reason: "OUT_OF_STOCK",
    domain: "checkout.emporium.example",
  });
  expect(await there.completeOrder(outOfStock).catch((e: unknown) => e)).toEqual(refused);
  const invalid = purchase({ basket: cart({ TEA: 0n }) });
  const failure = await here.completeOrder(invalid).catch((e: unknown) => e);
  expect(reasonOf(failure)?.reason).toBe("INVALID_REQUEST");
});

test("what is broken on our side is INTERNAL, the same each time, and says no more", async () => {
  const request = purchase();
  running.faults.refuse(request.checkoutId, "createOrder");
  for (const client of [here, there]) {
    const failure = await client.completeOrder(request).catch((e: unknown) => e);
    expect(failure).toMatchObject({ code: Code.Internal });
    expect(reasonOf(failure)?.reason).toBe("INTERNAL");
  }
});

test("a caller whose deadline passes asks again and gets the answer", async () => {
  const request = purchase({ paymentToken: "tok_slow" });
  const failure = await here.completeOrder(request, { timeoutMs: 50 }).catch((e: unknown) => e);
  expect(failure).toMatchObject({ code: Code.DeadlineExceeded });
  const { checkout } = await there.completeOrder(request);
  expect(checkout?.state).toBe(CheckoutState.COMPLETED);
});

test("a process that ends lets the purchases under way finish", async () => {
  const service = await create({ ...running.config, clock: running.clock });
  const client = running.client(CheckoutService, service);
  const request = purchase({ paymentToken: "tok_slow" });
  const answer = client.completeOrder(request);
  await soon(() => here.getCheckout({ checkoutId: request.checkoutId }));
  const ended = service[Symbol.asyncDispose]();
  expect((await answer).checkout?.state).toBe(CheckoutState.COMPLETED);
  await ended;
  client[Symbol.dispose]();
  const { steps } = await here.getCheckout({ checkoutId: request.checkoutId });
  expect(steps.map(({ kind }) => kind)).not.toContain(CheckoutStepKind.TAKEN_OVER);
});

test("a process that ends also finishes purchases whose caller has left", async () => {
  const service = await create({ ...running.config, clock: running.clock });
  using client = running.client(CheckoutService, service);
  const request = purchase({ paymentToken: "tok_slow" });
  const { checkoutId } = request;
  const caller = new AbortController();
  const answer = client.completeOrder(request, { signal: caller.signal });
  await soon(() => here.getCheckout({ checkoutId }));
  caller.abort();
  await expect(answer).rejects.toMatchObject({ code: Code.Canceled });
  await service[Symbol.asyncDispose]();
  const { checkout, steps } = await here.getCheckout({ checkoutId });
  expect(checkout?.state).toBe(CheckoutState.COMPLETED);
  expect(steps.map(({ kind }) => kind)).not.toContain(CheckoutStepKind.TAKEN_OVER);
});

test("an address that is taken is told, with the setting that changes it", async () => {
  await using first = await create(running.config);
  const [host = "", port] = first.address.split(":");
  const second = create({ ...running.config, listen: { host, port: Number(port) } });
  await expect(second).rejects.toThrow(/taken.*GRPC_LISTEN_ADDR/);
});

test("it starts without Postgres and NATS, and serves when they are there", async () => {
  const nowhere = "postgresql://nobody@127.0.0.1:1/nothing";
  await using service = await create({
    ...running.config,
    databaseUrl: nowhere,
    nats: { ...running.config.nats, servers: "nats://127.0.0.1:1" },
  });
  using health = running.client(Health, service);
  const { NOT_SERVING, SERVING } = HealthCheckResponse_ServingStatus;
  expect(await health.check({})).toMatchObject({ status: NOT_SERVING });
  await using well = await create(running.config);
  using wellHealth = running.client(Health, well);
  await soon(async () => expect(await wellHealth.check({})).toMatchObject({ status: SERVING }));
});
