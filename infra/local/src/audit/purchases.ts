import { relatedId } from "@emporium/runtime";
import type { Differences } from "./differences.js";
import type { CheckoutRow, LedgerRow, OrderRow, ShopTables, Units } from "./read.js";

/** Purchases and money of the whole shop; amounts in minor units. */
export interface PurchaseTotals {
  completed: number;
  refused: number;
  orders: number;
  captured: bigint;
  refunded: bigint;
}

/**
 * Holds each checkout against the reservation, the order and the payment that bear its id: bought as
 * a whole, or nothing of it left; charged once, and paid back what orders says.
 */
export function checkPurchases(tables: ShopTables, differences: Differences): PurchaseTotals {
  const { checkouts, orders, ledger } = tables;
  const payments = Map.groupBy(ledger, ({ paymentId }) => paymentId);
  const states = { COMPLETED: 0, REFUSED: 0 };
  for (const checkout of checkouts.values()) {
    const { id, state } = checkout;
    const entries = payments.get(relatedId("pay", id)) ?? [];
    const order = orders.get(relatedId("ord", id));
    if (state === "COMPLETED") checkBought(checkout, order, entries, { tables, differences });
    else if (state === "REFUSED") checkUndone(checkout, order, entries, { tables, differences });
    else differences.compare(`state of ${id}`, "COMPLETED or REFUSED", state);
    if (state === "COMPLETED" || state === "REFUSED") states[state] += 1;
  }
  for (const { id, checkoutId } of orders.values())
    if (checkoutId !== "" && !checkouts.has(checkoutId))
      differences.compare(`checkout of ${id}`, checkoutId, "none");
  for (const [id, refund] of tables.looseRefunds)
    differences.compare(`refund of ${id}`, refund, sum(payments.get(id) ?? [], "refund"));
  return {
    completed: states.COMPLETED,
    refused: states.REFUSED,
    orders: orders.size,
    captured: sum(ledger, "capture"),
    refunded: sum(ledger, "refund"),
  };
}

interface Books {
  tables: ShopTables;
  differences: Differences;
}

function checkBought(
  { id, total, units }: CheckoutRow,
  order: OrderRow | undefined,
  entries: LedgerRow[],
  { tables, differences }: Books,
): void {
  const compare = (what: string, expected: unknown, found: unknown) =>
    differences.compare(`${what} of ${id}`, expected, found);
  const reservation = tables.reservations.get(relatedId("rsv", id));
  compare("reservation", "COMMITTED", reservation?.state);
  compare("reserved units", written(units), written(reservation?.units));
  compare("ordered units", written(units), written(order?.units));
  compare("order's total", total, order?.total);
  compare("payment", "authorize, capture", kinds(entries));
  compare("captured", total, sum(entries, "capture"));
  const due = order?.state === "CANCELLED" ? order.total : (order?.refunded ?? 0n);
  compare("refunded", due, sum(entries, "refund"));
}

function checkUndone(
  { id }: CheckoutRow,
  order: OrderRow | undefined,
  entries: LedgerRow[],
  { tables, differences }: Books,
): void {
  const allowed = (what: string, pattern: RegExp, found: string) => {
    if (!pattern.test(found)) differences.compare(`${what} of ${id}`, pattern.source, found);
  };
  const reservation = tables.reservations.get(relatedId("rsv", id))?.state ?? "";
  allowed("reservation", /^(RELEASED|EXPIRED|REFUSED|)$/, reservation);
  allowed("order", /^(CANCELLED|)$/, order?.state ?? "");
  allowed("payment", /^(authorize, void|close|decline|)$/, kinds(entries));
}

function written(units: Units | undefined): string {
  return [...(units ?? [])]
    .map(([sku, quantity]) => `${quantity} ${sku}`)
    .toSorted()
    .join(", ");
}

function kinds(entries: LedgerRow[]): string {
  return entries
    .map(({ kind }) => kind)
    .filter((kind) => kind !== "refund")
    .toSorted()
    .join(", ");
}

function sum(entries: LedgerRow[], kind: string): bigint {
  return entries
    .filter((entry) => entry.kind === kind)
    .reduce((total, { amount }) => total + amount, 0n);
}
