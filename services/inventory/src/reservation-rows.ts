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
 * Writes all that a ledger has decided, or fails with 40001 (`not_as_known`) where a level or a
 * reservation is not any more what it is known as. Also those that stay as they are are written, since
 * the ledger rests on them. Rows are taken in the order of everybody, reservations by id, then
 * products by SKU, and are waited for. A new reservation whose id is taken fails it too (23505).
 */
export const WRITE = `
  WITH ended AS (
    UPDATE reservation SET state = new.state
    FROM (
      SELECT * FROM unnest($8::text[], $9::reservation_state[], $10::reservation_state[])
        AS new (id, known_state, state)
      ORDER BY id COLLATE "C"
    ) AS new
    WHERE reservation.id = new.id AND reservation.state = new.known_state
    RETURNING reservation.id
  ), moved AS (
    ${SAVE} AND (SELECT count(*) FROM ended) >= 0
    RETURNING product.sku
  ), made AS (
    INSERT INTO reservation (id, state, lines, shortages, create_time, expire_time)
    SELECT * FROM unnest(
      $11::text[], $12::reservation_state[], $13::jsonb[], $14::jsonb[],
      $15::timestamptz[], $16::timestamptz[]
    )
  ), told AS (
    INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload, headers)
    SELECT * FROM unnest(
      $17::uuid[], $18::text[], $19::text[], $20::bigint[], $21::text[], $22::bytea[], $23::jsonb[]
    )
  )
  SELECT CASE
    WHEN (SELECT count(*) FROM ended) < cardinality($8::text[]) THEN not_as_known()
    WHEN (SELECT count(*) FROM moved) < cardinality($1::text[]) THEN not_as_known()
  END`;

/**
 * $1 to $23 of `WRITE`. `known` are the reservations that were there before, as they were; events are
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
    events.map(({ headers = {} }) => JSON.stringify(headers)),
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
