import {
  CancelReason,
  ItemsReturnedSchema,
  OrderCancelledSchema,
  OrderPlacedSchema,
} from "@emporium/contracts/orders/v1";
import type { CheckoutService } from "@emporium/contracts/checkout/v1";
import type { OutboxRow } from "@emporium/database";
import { outboxEvent } from "@emporium/events";
import type { Client } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RunningCheckout } from "./running-checkout.js";
import { purchase } from "./shop.js";
import { soon } from "./soon.js";

const stack = new AsyncDisposableStack();
let running: RunningCheckout;
let client: Client<typeof CheckoutService>;

beforeAll(async () => {
  running = await RunningCheckout.prepare(stack);
  client = await running.start();
});
afterAll(() => stack.disposeAsync());

const gbp = (units: bigint, nanos = 0) => ({ currencyCode: "GBP", units, nanos });

/** Publishes events of orders, as orders would. */
const publish = (...events: OutboxRow[]) =>
  running.orders.transaction(undefined, async (tx) => events.forEach((event) => tx.emit(event)));

const placed = (orderId: string) =>
  outboxEvent(OrderPlacedSchema, { aggregateId: orderId, version: 1, message: {} });

const refundsOf = async (paymentId: string) => {
  const where = { paymentId, kind: "refund" as const };
  const entries = await running.database.prisma.paymentLedgerEntry.findMany({ where });
  return entries.map(({ reference, amount, currency }) => ({ reference, amount, currency }));
};

async function bought() {
  const request = purchase();
  await client.completeOrder(request);
  const id = request.checkoutId.slice(3);
  return { checkoutId: request.checkoutId, orderId: `ord${id}`, paymentId: `pay${id}` };
}

/** A payment that was given up, in the provider's books. */
async function voided() {
  const checkoutId = newId("chk");
  const id = checkoutId.slice(3);
  const paymentId = `pay${id}`;
  const entry = { paymentId, reference: paymentId, amount: 1_099n, currency: "GBP" };
  const createTime = new Date();
  const data = [
    { ...entry, kind: "authorize" as const, createTime },
    { ...entry, kind: "void" as const, createTime },
  ];
  await running.database.prisma.paymentLedgerEntry.createMany({ data });
  return { checkoutId, orderId: `ord${id}`, paymentId };
}

function cancelled(
  { checkoutId, orderId }: { checkoutId: string; orderId: string },
  cancelReason: CancelReason,
) {
  const order = {
    orderId,
    checkoutId,
    cancelReason,
    total: gbp(15n, 990_000_000),
    refunded: gbp(5n),
  };
  return outboxEvent(OrderCancelledSchema, {
    aggregateId: orderId,
    version: 2,
    message: { order },
  });
}

test("of a cancelled order what is left of its total goes back, once", async () => {
  const purchase = await bought();
  await publish(placed(purchase.orderId), cancelled(purchase, CancelReason.CUSTOMER_REQUEST));
  await soon(async () =>
    expect(await refundsOf(purchase.paymentId)).toEqual([
      { reference: purchase.orderId, amount: 1_099n, currency: "GBP" },
    ]),
  );
});

test("a payment that was captured goes back, whatever the reason of the cancellation", async () => {
  const purchase = await bought();
  await publish(placed(purchase.orderId), cancelled(purchase, CancelReason.CHECKOUT_FAILED));
  await soon(async () => expect(await refundsOf(purchase.paymentId)).toHaveLength(1));
});

test("a payment that was voided is not paid back, whatever the reason", async () => {
  const [failed, marker] = [await voided(), await bought()];
  await publish(placed(failed.orderId), cancelled(failed, CancelReason.CHECKOUT_FAILED));
  await publish(placed(marker.orderId), cancelled(marker, CancelReason.SHOP_DECISION));
  await soon(async () => expect(await refundsOf(marker.paymentId)).toHaveLength(1));
  await soon(async () => {
    const where = { aggregateId: failed.orderId, version: 2n };
    expect(await running.database.prisma.inboxPosition.findFirst({ where })).not.toBeNull();
  });
  expect(await refundsOf(failed.paymentId)).toEqual([]);
});

test("each return pays its own refund, and the same return pays once", async () => {
  const { checkoutId, orderId, paymentId } = await bought();
  const [first, second] = [newId("ret"), newId("ret")];
  const returned = (returnId: string, version: number) =>
    outboxEvent(ItemsReturnedSchema, {
      aggregateId: orderId,
      version,
      message: { return: { returnId, refund: gbp(2n, 500_000_000) }, checkoutId },
    });
  await publish(placed(orderId), returned(first, 2), returned(second, 3), returned(first, 4));
  await soon(async () => {
    const where = { aggregateId: orderId, version: 4n };
    expect(await running.database.prisma.inboxPosition.findFirst({ where })).not.toBeNull();
  });
  const refunds = await refundsOf(paymentId);
  expect(refunds.map(({ reference }) => reference).toSorted()).toEqual([first, second].toSorted());
  expect(refunds.map(({ amount }) => amount)).toEqual([250n, 250n]);
});

test("a return whose purchase is not known is paid under its own id", async () => {
  const returnId = newId("ret");
  const message = { return: { returnId, refund: gbp(7n) } };
  await publish(outboxEvent(ItemsReturnedSchema, { aggregateId: returnId, version: 1, message }));
  await soon(async () =>
    expect(await refundsOf(returnId)).toEqual([
      { reference: returnId, amount: 700n, currency: "GBP" },
    ]),
  );
});

test("a refund waits until its payment is captured", async () => {
  const request = purchase();
  const id = request.checkoutId.slice(3);
  const ids = { checkoutId: request.checkoutId, orderId: `ord${id}`, paymentId: `pay${id}` };
  running.faults.add(request.checkoutId, "commitReservation", "failed", "failed", "failed");
  const answer = client.completeOrder(request);
  await soon(() =>
    expect(running.faults.count(request.checkoutId, "commitReservation")).toBeGreaterThan(0),
  );
  await publish(placed(ids.orderId), cancelled(ids, CancelReason.CUSTOMER_REQUEST));
  await answer;
  await soon(async () => expect(await refundsOf(ids.paymentId)).toHaveLength(1));
});
