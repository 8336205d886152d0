import { toBinary } from "@bufbuild/protobuf";
import { OrderSchema } from "@emporium/contracts/orders/v1";
import type { Client } from "pg";
import { withClient } from "./sql.js";
import { typedOrder } from "../rpc/typed-order.js";

/** Orders of a customer, about. */
const EACH = 100;

/** Seconds of 2010-12-01T00:00:00Z: the first order; each other comes a second later. */
const FIRST = 1_291_161_600;

/** The id of the n-th order that was made up. */
export const orderIdAt = (n: number) => `ord_${n.toString(16).padStart(26, "0")}`;

/** A customer of a table with so many orders. */
export const customerAt = (n: number, rows: number) =>
  `c${String(n % customersOf(rows)).padStart(8, "0")}`;

/** When the n-th order was placed. */
export const placedAt = (n: number) => ({ seconds: BigInt(FIRST + n) });

const customersOf = (rows: number) => Math.ceil(rows / EACH);

/** A varint of five bytes, which holds seconds until 2106. */
const VARINT = `decode(lpad(to_hex(
  ((s & 127 | 128) << 32) | ((s >> 7 & 127 | 128) << 24) | ((s >> 14 & 127 | 128) << 16) |
  ((s >> 21 & 127 | 128) << 8) | (s >> 28)), 10, '0'), 'hex')`;

/**
 * Rows of orders as the service writes them, from one number up to another, made by Postgres itself.
 * A snapshot is an encoded Order that is the same for all, followed by the fields that differ: of a
 * field that comes twice the last one counts.
 */
export async function addOrders(url: string, from: number, to: number): Promise<void> {
  const order = typedOrder();
  const refunded = { ...order.total!, units: 0n, nanos: 0 };
  Object.assign(order, { orderId: "", customerId: "", refunded });
  const snapshot = Buffer.from(toBinary(OrderSchema, order));
  const rows = `
    SELECT n, 'ord_' || lpad(to_hex(n), 26, '0') AS order_id,
      'c' || lpad((n % ${customersOf(to)})::text, 8, '0') AS customer_id, ${FIRST} + n AS s
    FROM generate_series(${from}::bigint, ${to - 1}) AS n`;
  const orders = `
    INSERT INTO orders (order_id, customer_id, currency, total, checkout_id, create_time,
      update_time, status_time, content_hash)
    SELECT order_id, customer_id, 'GBP', 9832, 'chk' || substr(order_id, 4), to_timestamp(s),
      to_timestamp(s), to_timestamp(s), sha256(order_id::bytea)
    FROM (${rows}) AS made`;
  const lines = `
    INSERT INTO order_lines (order_id, line_no, sku, title, quantity, unit_price)
    SELECT order_id, 1, '85123A', 'WHITE HANGING HEART T-LIGHT HOLDER', 6, 255
    FROM (${rows}) AS made`;
  const changes = `
    INSERT INTO order_changes (order_id, revision, snapshot)
    SELECT order_id, 1, '\\x${snapshot.toString("hex")}0a1e'::bytea
      || order_id::bytea || '\\x1209' || customer_id::bytea
      || '\\x4a0608' || ${VARINT} || '\\x520608' || ${VARINT}
    FROM (${rows}) AS made`;
  await withClient(url, async (client) => {
    // Millions of rows that are thrown away with the bench need not outlive a power cut.
    await client.query("ALTER SYSTEM SET fsync = off");
    await client.query("ALTER SYSTEM SET max_wal_size = '16GB'");
    await client.query("SELECT pg_reload_conf()");
    // An index is made in one go in a fraction of the time that it takes row by row.
    const { rows: indexes } = await client.query<{ name: string; definition: string }>(
      `SELECT indexname AS name, indexdef AS definition FROM pg_indexes
       WHERE tablename = 'orders' AND indexname <> 'orders_pkey'`,
    );
    for (const { name } of indexes) await client.query(`DROP INDEX "${name}"`);
    await Promise.all([orders, lines, changes].map((insert) => withClient(url, load(insert))));
    await client.query("SET maintenance_work_mem = '512MB'");
    for (const { definition } of indexes) await client.query(definition);
    await client.query("VACUUM (ANALYZE) orders, order_lines, order_changes");
    await client.query("ALTER SYSTEM RESET fsync");
    await client.query("SELECT pg_reload_conf()");
    await client.query("CHECKPOINT");
  });
}

const load = (insert: string) => async (client: Client) => {
  // Keys into other tables are right as they are made, and are not looked up one by one.
  await client.query("SET session_replication_role = replica");
  await client.query("SET synchronous_commit = off");
  await client.query(insert);
};
