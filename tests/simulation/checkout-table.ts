import type { CheckoutRow, Step } from "../../services/checkout/src/checkout-row.ts";
import type { StoredCheckout } from "../../services/checkout/src/checkouts.ts";
import { toStoredLines } from "../../services/checkout/src/lines.ts";
import type { Refusal } from "../../services/checkout/src/refusals.ts";
import type { Guards } from "./guards.ts";

/** Milliseconds that a lease lasts. */
export const LEASE_MS = 300;

interface Row {
  checkout: CheckoutRow;
  leaseUntil: number;
  /** Versions of the events that were written with it. */
  events: number[];
}

/** The table of checkouts, and the two statements that a journal sends, in memory. */
export class CheckoutTable {
  readonly rows = new Map<string, Row>();
  readonly #guards: Guards;

  constructor(guards: Guards) {
    this.#guards = guards;
  }

  insert(checkout: CheckoutRow, now: number): void {
    const row = { checkout: copyOf(checkout), leaseUntil: now + LEASE_MS, events: [1] };
    this.rows.set(checkout.checkoutId, row);
  }

  /** Takes over what nobody drives any more. */
  takeOver(now: number): CheckoutRow[] {
    const due = [...this.rows.values()].filter(
      ({ checkout, leaseUntil }) => checkout.state === "RUNNING" && leaseUntil < now,
    );
    return due.map((row) => {
      row.leaseUntil = now + LEASE_MS;
      if (this.#guards.fence) row.checkout.fence += 1;
      return copyOf(row.checkout);
    });
  }

  renew({ checkoutId, fence }: CheckoutRow, now: number): void {
    const row = this.rows.get(checkoutId)!;
    if (row.checkout.fence === fence) row.leaseUntil = now + LEASE_MS;
  }

  /** FIND and ADVANCE of the journal, told apart by their number of values. */
  query(values: readonly unknown[], now: number): unknown[] {
    const row = this.rows.get(values[0] as string)!;
    return values.length === 1 ? [stored(row.checkout)] : this.#advance(row, values, now);
  }

  #advance(row: Row, values: readonly unknown[], now: number): unknown[] {
    const [, fence, written, steps, state, refusal, endTime] = values;
    const { checkout } = row;
    if (checkout.fence !== fence || checkout.state !== "RUNNING") return [];
    if (checkout.steps.length !== written) return [];
    checkout.steps.push(...(JSON.parse(steps as string) as Step[]));
    checkout.state = state as CheckoutRow["state"];
    checkout.refusal = refusal ? (JSON.parse(refusal as string) as Refusal) : null;
    checkout.endTime = endTime as Date | null;
    row.leaseUntil = now + LEASE_MS;
    row.events.push(...(values[11] as bigint[]).map(Number));
    return [{ aggregateId: checkout.checkoutId }];
  }
}

function copyOf(checkout: CheckoutRow): CheckoutRow {
  return { ...checkout, steps: checkout.steps.map((step) => ({ ...step })) };
}

/** As the database gives it. */
function stored(checkout: CheckoutRow): StoredCheckout {
  return { ...copyOf(checkout), lines: toStoredLines(checkout.lines) };
}
