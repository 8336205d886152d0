import { WRITE } from "@emporium/inventory/reservation-rows";
import { Client } from "pg";
import { pgbench } from "../pgbench.js";
import { TTL_MS } from "./ways.js";

/** Reservations of one statement: as many as the service has in one when 128 callers wait for two. */
const MEMBERS = 64;

/** Something as long as a StockChanged with so many levels. */
const payload = (lines: number) => `decode(repeat('ab', ${40 + 35 * lines}), 'hex')`;

/** The statement that reserves for a group; see `prepareLimit`. */
export const reserveGroup = (products: number, members: number, lines: number) =>
  `SELECT reserve_group(${products}, ${members}, ${lines}, ${payload(lines)});`;

/**
 * The service's own statement as a function, whose plan Postgres keeps, and one that makes its
 * parameters for a group in the server: each time other products out of so many, locked first, since
 * nothing here remembers their levels.
 */
const FUNCTIONS = `
  CREATE FUNCTION write_group(
    text[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], text[], reservation_state[],
    reservation_state[], text[], reservation_state[], jsonb[], jsonb[], timestamptz[],
    timestamptz[], uuid[], text[], text[], bigint[], text[], bytea[], jsonb[]
  ) RETURNS void LANGUAGE sql AS $write$ ${WRITE} $write$;

  CREATE FUNCTION reserve_group(products int, members int, lines int, payload bytea)
  RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    first int := floor(random() * products);
    skus text[]; revisions bigint[]; on_hand bigint[]; reserved bigint[]; known bigint[]; ids text[];
    line jsonb := (
      SELECT jsonb_agg('{"sku": "even-1000", "quantity": 1}'::jsonb) FROM generate_series(1, lines));
  BEGIN
    SELECT array_agg(p.sku), array_agg(p.stock_revision), array_agg(p.on_hand), array_agg(p.reserved),
      array_agg(p.reserved + members * lines / least(members * lines, products))
    INTO skus, revisions, on_hand, known, reserved
    FROM (
      SELECT product.* FROM product WHERE sku = ANY (ARRAY(
        SELECT DISTINCT CASE products WHEN 1 THEN 'hot' ELSE 'even-' || (first + n * 43) % products END
        FROM generate_series(1, members * lines) AS n
      )) ORDER BY sku FOR NO KEY UPDATE
    ) AS p;
    ids := ARRAY(SELECT 'rsv_' || substr(replace(uuidv7()::text, '-', ''), 1, 26) FROM generate_series(1, members));
    PERFORM write_group(
      skus, on_hand, known, revisions, on_hand, reserved, ARRAY(SELECT 1 + unnest(revisions)),
      '{}', '{}', '{}',
      ids, array_fill('HELD'::reservation_state, ARRAY[members]), array_fill(line, ARRAY[members]),
      array_fill('[]'::jsonb, ARRAY[members]), array_fill(now(), ARRAY[members]),
      array_fill(now() + interval '${TTL_MS} ms', ARRAY[members]),
      ARRAY(SELECT uuidv7() FROM generate_series(1, members)), array_fill('rsv'::text, ARRAY[members]),
      ids, array_fill(1::bigint, ARRAY[members]),
      array_fill('emporium.inventory.v1.StockChanged'::text, ARRAY[members]),
      array_fill(payload, ARRAY[members]), array_fill('{}'::jsonb, ARRAY[members])
    );
  END $$`;

/** Makes ready what `limit` needs in a database with the tables of inventory. */
export async function prepareLimit(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(FUNCTIONS);
  await client.end();
}

/** Reservations a second by pgbench, with as many statements under way as the service has. */
export async function limit(
  program: string,
  url: string,
  { products, lines, seconds }: { products: number; lines: number; seconds: number },
): Promise<number> {
  const script = reserveGroup(products, MEMBERS, lines);
  return MEMBERS * (await pgbench(program, url, { script, clients: 2, seconds }));
}
