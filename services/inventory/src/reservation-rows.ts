import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ReservationSchema, ReservationState } from "@emporium/contracts/inventory/v1";
import type { OutboxRow } from "@emporium/database";
import type { ReservationState as StateColumn } from "./generated/prisma/client.js";
import type { Entry, Ledger, Shortage } from "./reservation-outcomes.js";
import { SAVE } from "./stock.js";

/** A reservation as its row has it. */
export interface ReservationRow {
  id: string;
  state: StateColumn;
  lines: { sku: string; quantity: number }[];
  shortages: Shortage[];
  createTime: Date;
  expireTime: Date | null;
}

/** Typed SQL here and below, since Prisma has neither row locks nor writes of many rows in one. */
export const READ = `
  SELECT id, state, lines, shortages, create_time AS "createTime", expire_time AS "expireTime"
  FROM reservation WHERE id = ANY($1::text[]) ORDER BY id`;

export const LOCK = `${READ} FOR NO KEY UPDATE`;

/**
 * Writes all that a ledger has decided, or nothing: where a level or a reservation is not any more
 * what it is known as, no row comes back. First it locks what the ledger rests on, which waits for
 * whoever is at the same rows: reservations by id, then products by SKU. A new reservation whose id
 * is taken fails the statement (23505).
 */
export const WRITE = `
  WITH entries AS MATERIALIZED (
    SELECT id, state FROM reservation WHERE id = ANY($6::text[]) ORDER BY id FOR NO KEY UPDATE
  ), levels AS MATERIALIZED (
    SELECT sku, stock_revision, on_hand, reserved FROM product
    WHERE sku = ANY($1::text[]) AND (SELECT count(*) FROM entries) >= 0
    ORDER BY sku FOR NO KEY UPDATE
  ), as_known AS MATERIALIZED (
    SELECT FROM (
      SELECT count(*) FROM levels
      JOIN unnest($1::text[], $2::bigint[], $21::bigint[], $22::bigint[])
        AS known (sku, stock_revision, on_hand, reserved)
        USING (sku, stock_revision, on_hand, reserved)
    ) AS level, (
      SELECT count(*) FROM entries
      JOIN unnest($6::text[], $7::reservation_state[]) AS known (id, state) USING (id, state)
    ) AS entry
    WHERE level.count = cardinality($1::text[]) AND entry.count = cardinality($6::text[])
  ), moved AS (
    ${SAVE} AND EXISTS (SELECT FROM as_known)
  ), ended AS (
    UPDATE reservation SET state = new.state
    FROM unnest($6::text[], $7::reservation_state[], $8::reservation_state[])
      AS new (id, known_state, state)
    WHERE reservation.id = new.id AND new.state <> new.known_state AND EXISTS (SELECT FROM as_known)
  ), made AS (
    INSERT INTO reservation (id, state, lines, shortages, create_time, expire_time)
    SELECT new.* FROM as_known, unnest(
      $9::text[], $10::reservation_state[], $11::jsonb[], $12::jsonb[],
      $13::timestamptz[], $14::timestamptz[]
    ) AS new
  ), told AS (
    INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
    SELECT new.* FROM as_known, unnest(
      $15::uuid[], $16::text[], $17::text[], $18::bigint[], $19::text[], $20::bytea[]
    ) AS new
  )
  SELECT FROM as_known`;

/**
 * $1 to $22 of `WRITE`. `known` are the reservations that were there before, as they were; events are
 * left to the caller where `events` is empty.
 */
export function writeValues(
  { stock, entries, changed }: Ledger,
  known: Map<string, StateColumn>,
  events: OutboxRow[],
): unknown[] {
  const rows = [...changed].filter((id) => !known.has(id)).map((id) => toRow(entries.get(id)!));
  return [
    ...stock.columns(),
    [...known.keys()],
    [...known.values()],
    Array.from(known.keys(), (id) => stateOf(entries.get(id)!)),
    rows.map(({ id }) => id),
    rows.map(({ state }) => state),
    rows.map(({ lines }) => JSON.stringify(lines)),
    rows.map(({ shortages }) => JSON.stringify(shortages)),
    rows.map(({ createTime }) => createTime),
    rows.map(({ expireTime }) => expireTime),
    events.map(({ id }) => id),
    events.map(({ aggregateType }) => aggregateType),
    events.map(({ aggregateId }) => aggregateId),
    events.map(({ version }) => version),
    events.map(({ type }) => type),
    events.map(({ payload }) => payload),
    ...stock.knownColumns(),
  ];
}

export function toEntry({ id, shortages, expireTime, ...row }: ReservationRow): Entry {
  const reservation = create(ReservationSchema, {
    reservationId: id,
    state: ReservationState[row.state],
    lines: row.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
    createTime: timestampFromDate(row.createTime),
    expireTime: expireTime ? timestampFromDate(expireTime) : undefined,
  });
  return { reservation, shortages };
}

/** How the column calls the state of an entry. */
export function stateOf({ reservation: { state } }: Entry): StateColumn {
  return ReservationState[state] as StateColumn;
}

function toRow(entry: Entry): ReservationRow {
  const { reservation, shortages } = entry;
  const { reservationId, lines, createTime, expireTime } = reservation;
  if (!createTime) throw new Error(`Reservation ${reservationId} has no create time`);
  return {
    id: reservationId,
    state: stateOf(entry),
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity: Number(quantity) })),
    shortages,
    createTime: timestampDate(createTime),
    expireTime: expireTime ? timestampDate(expireTime) : null,
  };
}
