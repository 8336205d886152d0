import { Client, escapeIdentifier } from "pg";
import { type DataKeys, sealedWith } from "./data-keys.js";

/** Rows that are read and written at once. */
const BATCH = 500;

/** A column of sealed values, and where its rows are. */
export interface SealedColumn {
  table: string;
  /** The primary key, a text. */
  id: string;
  column: string;
  /** A column of the same values from before they were sealed, which is emptied. */
  plain?: string;
}

/**
 * Seals with the primary key what was sealed with another one, or not at all. Safe while services
 * run and when it is repeated: a row that changes meanwhile is left as it then is. Returns how many
 * rows it wrote; an older key may go from the file when a run by the new one returns 0. Rejects where
 * a value cannot be opened, with its place; what comes before it is sealed anew by then.
 *
 * @example
 * await reseal({ url, column: { table: "orders", id: "order_id", column: "sealed_address" }, keys });
 */
export async function reseal(run: {
  url: string;
  column: SealedColumn;
  keys: DataKeys;
}): Promise<number> {
  const { read, write } = statements(run.column);
  await using connected = await connect(run.url);
  let written = 0;
  for (let after = ""; ;) {
    const { rows } = await connected.client.query<{ id: string; value: Buffer }>(read, [
      after,
      BATCH,
    ]);
    const last = rows.at(-1);
    if (!last) return written;
    after = last.id;
    const stale = rows.filter(({ value }) => sealedWith(value) !== run.keys.primary);
    const { rowCount } = await connected.client.query(write, [
      stale.map(({ id }) => id),
      stale.map(({ value }) => value),
      stale.map(({ id, value }) => {
        const place = `${run.column.table}/${id}`;
        return run.keys.seal(opened(run.keys, value, place), place);
      }),
    ]);
    written += rowCount ?? 0;
  }
}

function opened(keys: DataKeys, value: Uint8Array, place: string): Uint8Array {
  try {
    return keys.open(value, place);
  } catch (cause) {
    throw new Error(`What is sealed in ${place} cannot be opened: was it moved?`, { cause });
  }
}

/**
 * How many values of a column each key has sealed, by its id; those that were never sealed by `""`.
 *
 * @example
 * (await countSealed({ url, column })).get("2026-11"); // 1234
 */
export async function countSealed(run: {
  url: string;
  column: SealedColumn;
}): Promise<Map<string, number>> {
  await using connected = await connect(run.url);
  const { count } = statements(run.column);
  const { rows } = await connected.client.query<{ id: string; count: number }>(count);
  return new Map(rows.map(({ id, count }) => [id, count]));
}

async function connect(url: string) {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}

function statements({ table, id, column, plain }: SealedColumn) {
  const [rows, key, sealed] = [table, id, column].map(escapeIdentifier);
  const value = plain ? `COALESCE(${sealed}, ${escapeIdentifier(plain)})` : sealed;
  const emptied = plain ? `, ${escapeIdentifier(plain)} = NULL` : "";
  return {
    // As `sealedWith` reads it: a zero, the length of the id, the id.
    count: `
      SELECT count(*)::int AS count, CASE get_byte(value, 0)
        WHEN 0 THEN convert_from(substring(value FROM 3 FOR get_byte(value, 1)), 'UTF8') ELSE ''
      END AS id
      FROM (SELECT ${value} AS value FROM ${rows}) AS sealed
      WHERE length(value) > 0 GROUP BY id`,
    read: `
      SELECT ${key} AS id, ${value} AS value FROM ${rows}
      WHERE ${key} > $1 AND ${value} IS NOT NULL ORDER BY ${key} LIMIT $2`,
    write: `
      UPDATE ${rows} SET ${sealed} = resealed${emptied}
      FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS stale (stale_id, was, resealed)
      WHERE ${key} = stale_id AND ${value} = was`,
  };
}
