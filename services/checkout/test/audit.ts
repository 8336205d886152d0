import assert from "node:assert/strict";
import { ReservationState } from "@emporium/contracts/inventory/v1";
import { OrderState } from "@emporium/contracts/orders/v2";
import { orderIdOf, paymentIdOf, reservationIdOf } from "../src/ids.js";
import type { Shop } from "./shop.js";

/** What all books say of one checkout. */
export interface Books {
  state: string;
  steps: string[];
  refusal: string | undefined;
  /** Kinds of ledger entries, sorted, with commas between. */
  ledger: string;
  reservation: string | undefined;
  order: string | undefined;
}

/** Opens all books on a checkout, and fails where they contradict each other. */
export async function audit(shop: Shop, checkoutId: string): Promise<Books> {
  const { prisma } = shop.database;
  const row = await prisma.checkout.findUniqueOrThrow({ where: { checkoutId } });
  const entries = await prisma.paymentLedgerEntry.findMany({
    where: { paymentId: paymentIdOf(checkoutId) },
  });
  const events = await prisma.outbox.findMany({
    where: { aggregateId: checkoutId },
    orderBy: { version: "asc" },
  });
  const reservation = shop.warehouse.reservations.get(reservationIdOf(checkoutId))?.state;
  const order = shop.orderBook.orders.get(orderIdOf(checkoutId))?.state;
  const books: Books = {
    state: row.state,
    steps: (row.steps as { kind: string }[]).map(({ kind }) => kind),
    refusal: (row.refusal as { reason: string } | null)?.reason,
    ledger: entries
      .map(({ kind }) => kind)
      .toSorted()
      .join(),
    reservation: nameOf(ReservationState, reservation),
    order: nameOf(OrderState, order),
  };
  assert.deepEqual(
    events.map(({ version }) => Number(version)),
    books.steps.map((_, index) => index + 1),
    "one event for each step, without gaps",
  );
  if (books.state === "COMPLETED") assertBought(books);
  if (books.state === "REFUSED") assertNothingLeft(books);
  if (books.state !== "RUNNING") assert.equal(row.shippingAddress, null, "the address is gone");
  return books;
}

function nameOf(names: Record<number, string>, value: number | undefined): string | undefined {
  return value === undefined ? undefined : names[value];
}

function assertBought(books: Books): void {
  const { steps: _, ...rest } = books;
  assert.deepEqual(rest, {
    state: "COMPLETED",
    refusal: undefined,
    ledger: "authorize,capture",
    reservation: "COMMITTED",
    order: "PLACED",
  });
  assert.equal(books.steps.at(-1), "COMPLETED");
}

function assertNothingLeft(books: Books): void {
  assert.match(books.ledger, /^(authorize,void|close|decline|)$/, "nothing is charged");
  assert.match(books.reservation ?? "", /^(RELEASED|EXPIRED|REFUSED|)$/, "no stock is held");
  assert.match(books.order ?? "", /^(CANCELLED|)$/, "no order is open");
  assert.equal(books.steps.at(-1), "REFUSED");
}
