import type { Connection } from "./connection.js";

/**
 * One event on its way out, as a row of the service's `outbox` table. `@emporium/events` owns the
 * table and makes these rows.
 */
export interface OutboxRow {
  /** UUIDv7; the event's id everywhere it goes. */
  id: string;
  aggregateType: string;
  aggregateId: string;
  /** The aggregate's version after this change, from 1 without gaps. */
  version: number | bigint;
  /** Full name of the protobuf message, such as `emporium.inventory.v1.StockChanged`. */
  type: string;
  /** The message in protobuf's binary format. */
  payload: Uint8Array;
  headers?: Record<string, string>;
  /** Defaults to the database's clock. */
  createTime?: Date;
}

const APPEND = `
INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload, headers, create_time)
SELECT id, aggregate_type, aggregate_id, version, type, payload, headers, coalesce(create_time, clock_timestamp())
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::jsonb[], $8::timestamptz[])
  AS event (id, aggregate_type, aggregate_id, version, type, payload, headers, create_time)`;

/** Appends the rows in one round trip, whatever their number. */
export async function appendToOutbox(
  connection: Connection,
  rows: readonly OutboxRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await connection.rows(APPEND, [
    rows.map((row) => row.id),
    rows.map((row) => row.aggregateType),
    rows.map((row) => row.aggregateId),
    rows.map((row) => row.version),
    rows.map((row) => row.type),
    rows.map((row) => row.payload),
    rows.map((row) => JSON.stringify(row.headers ?? {})),
    rows.map((row) => row.createTime ?? null),
  ]);
}
