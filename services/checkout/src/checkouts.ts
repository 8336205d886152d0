import { create, toBinary } from "@bufbuild/protobuf";
import { CheckoutAdvancedSchema } from "@emporium/contracts/checkout/v1";
import type { Database, OutboxRow } from "@emporium/database";
import { outboxEvent } from "@emporium/events";
import type { PrismaClient } from "./generated/prisma/client.js";
import { fromStoredLines, type StoredLine, toStoredLines } from "./lines.js";
import { checkoutMessage, stepMessage } from "./checkout-message.js";
import type { CheckoutRow } from "./checkout-row.js";

/** Columns of `checkouts`, by the names of `CheckoutRow`. */
export const COLUMNS = `
  checkouts.checkout_id AS "checkoutId", customer_id AS "customerId", quote_id AS "quoteId", state,
  currency, total, lines, shipping_address AS "shippingAddress", refusal, steps,
  content_hash AS "contentHash", create_time AS "createTime", end_time AS "endTime", fence`;

/** A row as the database gives it. */
export type StoredCheckout = Omit<CheckoutRow, "lines"> & { lines: StoredLine[] };

export function fromStored(stored: StoredCheckout): CheckoutRow {
  return { ...stored, lines: fromStoredLines(stored.lines) };
}

/** The checkout with this id, or `undefined`. */
export async function findCheckout(
  database: Database<PrismaClient>,
  checkoutId: string,
  signal: AbortSignal,
): Promise<CheckoutRow | undefined> {
  const [stored] = await database.query<StoredCheckout>(signal, FIND, [checkoutId]);
  return stored && fromStored(stored);
}

/**
 * Writes a checkout down with its first step, leased to `owner`. False where that is impossible:
 * the id is taken, or another checkout has the quote.
 */
export async function insertCheckout(
  database: Database<PrismaClient>,
  row: CheckoutRow,
  lease: { owner: string; milliseconds: number },
): Promise<boolean> {
  const [event] = eventsAfter(0, row);
  // Without the caller's signal: once this is sent, the checkout may stand, and goes on.
  const inserted = await database.query(undefined, INSERT, [
    row.checkoutId,
    row.customerId,
    row.quoteId,
    row.currency,
    row.total,
    JSON.stringify(toStoredLines(row.lines)),
    row.shippingAddress,
    JSON.stringify(row.steps),
    row.contentHash,
    row.createTime,
    lease.owner,
    lease.milliseconds,
    event?.id,
    event?.aggregateType,
    event?.type,
    event?.payload,
    JSON.stringify(event?.headers ?? {}),
  ]);
  if (inserted.length === 0) return false;
  database.committed();
  return true;
}

/**
 * The events that tell of all steps after the first `told`. Bytes of a message followed by bytes of
 * another of its type are the two merged (protobuf.dev, Encoding, "Last One Wins"), so the checkout,
 * which is the same after all steps but the last, is encoded once for all of them.
 */
export function eventsAfter(told: number, row: CheckoutRow): OutboxRow[] {
  let checkout: Uint8Array | undefined;
  return row.steps.slice(told).map((_, index) => {
    const version = told + index + 1;
    const { checkoutId: aggregateId } = row;
    const message = { step: stepMessage(row, version) };
    const event = outboxEvent(CheckoutAdvancedSchema, { aggregateId, version, message });
    if (!checkout || version === row.steps.length) {
      const after = { checkout: checkoutMessage(row, version) };
      checkout = toBinary(CheckoutAdvancedSchema, create(CheckoutAdvancedSchema, after));
    }
    return { ...event, payload: Buffer.concat([event.payload, checkout]) };
  });
}

/** Not Prisma: every checkout asks this first, and it ends with the call. */
const FIND = `SELECT ${COLUMNS} FROM checkouts WHERE checkout_id = $1`;

/**
 * Not Prisma: every checkout waits for this. It is one statement, so one round trip and one commit
 * for the row and its event. The unique indexes on the id and on the quote decide between two that
 * come at the same moment; where one of them says no, nothing is written and no row comes back.
 */
const INSERT = `
  WITH started AS (
    INSERT INTO checkouts (
      checkout_id, customer_id, quote_id, currency, total, lines, shipping_address, steps,
      content_hash, create_time, lease_owner, lease_until
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + $12 * interval '1 millisecond')
    ON CONFLICT DO NOTHING
    RETURNING checkout_id
  )
  INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload, headers)
  SELECT $13, $14, checkout_id, 1, $15, $16, $17 FROM started
  RETURNING aggregate_id`;
