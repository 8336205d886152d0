import assert from "node:assert/strict";
import { ReservationState } from "@emporium/contracts/inventory/v1";
import { reasonOf } from "@emporium/grpc";
import fc from "fast-check";
import { afterAll, beforeAll, test } from "vitest";
import type { Deed } from "../src/fault-points.js";
import { within } from "../src/patience.js";
import { audit } from "./audit.js";
import type { Fault } from "./faults.js";
import { cart, NO_TAKEOVER, purchase, type Replica, Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;
let survivors: Replica[];

/** Impatient, so that also what is not scripted comes too late at times. */
const HASTE = { callMs: 80, authorizeMs: 250 };

beforeAll(async () => {
  shop = await Shop.open(stack);
  survivors = await Promise.all([shop.startReplica(HASTE), shop.startReplica(HASTE)]);
  shop.warehouse.stock("RARE", 12, 5_000);
});
afterAll(() => stack.disposeAsync());

const { signal } = new AbortController();

const CALLS = [
  "reserveStock",
  "authorize",
  "findOrClose",
  "createOrder",
  "commitReservation",
  "capture",
  "cancelOrder",
  "void",
  "releaseReservation",
];

const DEEDS: Deed[] = [
  "start",
  "reserve",
  "authorize",
  "find-payment",
  "create-order",
  "commit-reservation",
  "capture",
  "complete",
  "turn-back",
  "call-off-order",
  "void",
  "release",
  "refuse",
];

const schedules = fc.record({
  paymentToken: fc.constantFrom("tok_approve", "tok_approve", "tok_flaky", "tok_decline"),
  sku: fc.constantFrom("TEA", "TEA", "RARE"),
  /** What the rules refuse, if anything. */
  refused: fc.constantFrom(undefined, undefined, "createOrder", "commitReservation"),
  faults: fc.array(
    fc.record({
      call: fc.constantFrom(...CALLS),
      fault: fc.constantFrom<Fault>("done", "failed", "lost", "stuck", "unanswered"),
    }),
    { maxLength: 5 },
  ),
  /** Where the first process is stopped, if anywhere. */
  stop: fc.option(
    fc.record({ when: fc.constantFrom("before", "after"), deed: fc.constantFrom(...DEEDS) }),
  ),
  /** Whether it goes on while another has just taken over, or only when all is over. */
  wakesEarly: fc.boolean(),
  /** Whether the reservation's time runs out while it is stopped. */
  expires: fc.boolean(),
  /** Callers that ask elsewhere for the same purchase. */
  duplicates: fc.integer({ min: 0, max: 2 }),
});
type Schedule = typeof schedules extends fc.Arbitrary<infer Value> ? Value : never;

/** Runs one purchase by a schedule until all is over; whatever happens, its books fit together. */
async function play(schedule: Schedule): Promise<void> {
  const { paymentToken, sku, stop } = schedule;
  const request = purchase({ paymentToken, basket: cart({ [sku]: 2n }) });
  const { checkoutId } = request;
  for (const { call, fault } of schedule.faults) shop.faults.add(checkoutId, call, fault);
  if (schedule.refused) shop.faults.refuse(checkoutId, schedule.refused);

  const ask = ({ purchases }: Replica) =>
    purchases.complete(request, signal).then(
      () => "COMPLETED",
      (error: unknown) => reasonOf(error)?.reason ?? "UNSPECIFIED",
    );
  const first = await shop.startReplica({ ...HASTE, ...NO_TAKEOVER });
  const cut = stop && first.cutPowerAt(`${stop.when as "before"}-${stop.deed}`);
  const answer = ask(first);
  const duplicates = survivors.slice(0, schedule.duplicates).map(ask);
  await Promise.race([cut ?? answer, answer]);
  if (schedule.expires) shop.warehouse.expire(checkoutId);
  await shop.releaseLeases(checkoutId);
  if (schedule.wakesEarly) first.restorePower();

  const where = { checkoutId };
  const written = await shop.database.prisma.checkout.count({ where });
  if (written > 0) await survivors[0]!.timeline.end(checkoutId, signal);
  first.restorePower();
  const answers = new Set(await Promise.all([answer, ...duplicates]));
  await first[Symbol.asyncDispose]();
  const { state, refusal } = await audit(shop, checkoutId);
  assert.deepEqual([...answers], [state === "COMPLETED" ? state : refusal]);
}

/** Units that left the warehouse are units sold; no more are held, and none was sold twice. */
function assertStock(): void {
  for (const [sku, initial] of [
    ["TEA", 1_000_000n],
    ["RARE", 12n],
  ] as const) {
    const sold = [...shop.warehouse.reservations.values()]
      .filter(({ state }) => state === ReservationState.COMMITTED)
      .flatMap(({ request }) => request?.lines ?? [])
      .filter((line) => line.sku === sku)
      .reduce((sum, { quantity }) => sum + quantity, 0n);
    const product = shop.warehouse.products.get(sku);
    assert.deepEqual([product?.onHand, product?.reserved], [initial - sold, 0n]);
    assert.ok(sold <= initial);
  }
}

test("whatever fails, stops and comes twice, every purchase ends, and all books agree", async () => {
  const batches = fc.array(schedules, { minLength: 10, maxLength: 10 });
  const property = fc.asyncProperty(batches, async (batch) => {
    await Promise.all(batch.map((one) => within(20_000, signal, () => play(one))));
    assertStock();
  });
  await fc.assert(property, {
    numRuns: Number(process.env.SCHEDULE_BATCHES ?? 10),
    endOnFailure: true,
  });
}, 300_000);
