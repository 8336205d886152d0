import { StockChangeCause, StockChangedSchema } from "@emporium/contracts/inventory/v1";
import { Database } from "@emporium/database";
import { outboxEvent } from "@emporium/events";
import { PrismaClient } from "@emporium/inventory/prisma";
import type { Line } from "./orders.js";
import { newReservationId, sorted, TTL_MS, type Way } from "./ways.js";

/**
 * The best that one call can do alone: one statement, one round trip, one commit. Its event is as
 * large as the others', with made-up levels: it is encoded before the levels are known.
 */
const RESERVE = `
  WITH asked AS (
    SELECT sku, quantity FROM unnest($2::text[], $3::bigint[]) AS asked (sku, quantity)
  ), locked AS (
    SELECT product.sku, quantity, on_hand - reserved >= quantity AS enough
    FROM product JOIN asked USING (sku) ORDER BY product.sku FOR NO KEY UPDATE OF product
  ), all_or_nothing AS (
    SELECT $1 AS id FROM locked HAVING count(*) FILTER (WHERE enough) = cardinality($2::text[])
  ), moved AS (
    UPDATE product SET reserved = reserved + quantity, stock_revision = stock_revision + 1
    FROM locked, all_or_nothing WHERE product.sku = locked.sku
  ), held AS (
    INSERT INTO reservation (id, state, lines, shortages, create_time, expire_time)
    SELECT id, 'HELD', $4::jsonb, '[]', now(), now() + $5 * interval '1 ms' FROM all_or_nothing
  )
  INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
  SELECT $6::uuid, $7, id, 1, $8, $9 FROM all_or_nothing
  RETURNING id`;

export async function openOneStatement(url: string): Promise<Way> {
  const database = await Database.open<PrismaClient>({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "one statement",
  });
  return {
    reserve: (lines) => reserve(database, sorted(lines)),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

async function reserve(database: Database<PrismaClient>, lines: Line[]): Promise<void> {
  const id = newReservationId();
  const level = { onHand: 1_000_000_000_000n, reserved: 100_000n, available: 999_999_900_000n };
  const message = {
    cause: StockChangeCause.RESERVED,
    referenceId: id,
    levels: lines.map(({ sku }) => ({ sku, ...level, revision: 100_000n })),
  };
  const event = outboxEvent(StockChangedSchema, { aggregateId: id, version: 1, message });
  const rows = await database.query(undefined, RESERVE, [
    id,
    lines.map(({ sku }) => sku),
    lines.map(({ quantity }) => quantity),
    JSON.stringify(lines.map(({ sku, quantity }) => ({ sku, quantity: Number(quantity) }))),
    TTL_MS,
    event.id,
    event.aggregateType,
    event.type,
    event.payload,
  ]);
  if (rows.length === 0) throw new Error("out of stock");
}
