import { CheckoutState, type Reason } from "@emporium/contracts/checkout/v1";
import { reasonOf } from "@emporium/grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Fault } from "./faults.js";
import { purchase, type Replica, Shop } from "./shop.js";

const stack = new AsyncDisposableStack();
let shop: Shop;
let replica: Replica;

beforeAll(async () => {
  shop = await Shop.open(stack);
  replica = await shop.startReplica();
});
afterAll(() => stack.disposeAsync());

const never = new AbortController().signal;

const BOUGHT = [
  "STARTED",
  "STOCK_RESERVED",
  "PAYMENT_AUTHORIZED",
  "ORDER_CREATED",
  "STOCK_COMMITTED",
  "COMPLETED",
];

test("a purchase ends with an order, sold stock and a captured payment", async () => {
  const request = purchase();
  const checkout = await replica.purchases.complete(request, never);
  expect(checkout).toMatchObject({ state: CheckoutState.COMPLETED, total: { units: 15n } });
  const books = await shop.audit(request.checkoutId);
  expect(books).toMatchObject({ state: "COMPLETED", steps: BOUGHT });
});
