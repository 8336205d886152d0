import { reasonOf } from "@emporium/grpc";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FaultPointName } from "../src/fault-points.js";
import { audit } from "./audit.js";
import type { Fault } from "./faults.js";
import { cart, purchase, type Replica, Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;
let replicas: Replica[];

beforeAll(async () => {
  shop = await Shop.open(stack);
  replicas = await Promise.all([shop.startReplica(), shop.startReplica()]);
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
const DEEDS = [
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
] as const;

const fault = fc.constantFrom<Fault>("done", "failed", "lost", "stuck", "unanswered");
const schedule = fc.record({
  token: fc.constantFrom("tok_approve", "tok_approve", "tok_flaky", "tok_answer_lost", "tok_decline"),
  quantity: fc.constantFrom(1n, 1n, 1n, 2_000_000_000_000n > 0n ? 1_000_000n : 1n),
  faults: fc.array(fc.tuple(fc.constantFrom(...CALLS), fc.array(fault, { maxLength: 2 })), {
    maxLength: 4,
  }),
  refused: fc.constantFrom(undefined, undefined, "reserveStock", "createOrder", "commitReservation"),
  crash: fc.option(
    fc.tuple(fc.constantFrom("before", "after"), fc.constantFrom(...DEEDS)),
  ),
  expires: fc.boolean(),
  duplicates: fc.integer({ min: 0, max: 2 }),
});
type Schedule = typeof schedule extends fc.Arbitrary<infer T> ? T : never;
