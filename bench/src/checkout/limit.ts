import { prepareLimit, reserveGroup } from "../reserve/limit.js";
import { pgbench } from "../pgbench.js";

/** Members of a group of reservations: half of the callers, since two groups take turns. */
const MEMBERS = 8;
const CLIENTS = 8;

/** Something as long as an event or a snapshot of an order of three lines. */
const BYTES = "decode(repeat('ab', 300), 'hex')";

const CHECKOUT = `
\\set n random(1, 1000000000000)
SELECT checkout_id FROM checkouts WHERE checkout_id = 'chk_' || :n;
WITH started AS (
  INSERT INTO checkouts (checkout_id, customer_id, currency, total, lines, steps, content_hash,
    create_time, lease_owner, lease_until)
  VALUES ('chk_' || :n, '17850', 'GBP', 1530, '[{"sku":"a","title":"WHITE HANGING HEART","quantity":2,"unitPrice":255},{"sku":"b","title":"WHITE HANGING HEART","quantity":2,"unitPrice":255},{"sku":"c","title":"WHITE HANGING HEART","quantity":2,"unitPrice":255}]',
    '[{"kind":"STARTED","time":"2026-11-27T12:00:00.000Z"}]', decode(repeat('ab', 32), 'hex'), now(),
    gen_random_uuid(), now() + interval '5 s')
  ON CONFLICT DO NOTHING RETURNING checkout_id)
INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
SELECT uuidv7(), 'chk', checkout_id, 1, 'CheckoutAdvanced', ${BYTES} FROM started;
INSERT INTO payment_ledger (payment_id, kind, reference, amount, currency, create_time)
VALUES ('pay_' || :n, 'authorize', 'pay_' || :n, 1530, 'GBP', now()) ON CONFLICT DO NOTHING;
INSERT INTO payment_ledger (payment_id, kind, reference, amount, currency, create_time)
SELECT payment_id, 'capture', reference, amount, currency, now()
FROM payment_ledger WHERE payment_id = 'pay_' || :n AND kind = 'authorize' ON CONFLICT DO NOTHING;
WITH advanced AS (
  UPDATE checkouts SET state = 'COMPLETED', end_time = now(), shipping_address = NULL,
    steps = steps || '[{"kind":"STOCK_RESERVED","time":"2026-11-27T12:00:00.000Z"},{"kind":"PAYMENT_AUTHORIZED","time":"2026-11-27T12:00:00.000Z"},{"kind":"ORDER_CREATED","time":"2026-11-27T12:00:00.000Z"},{"kind":"STOCK_COMMITTED","time":"2026-11-27T12:00:00.000Z"},{"kind":"COMPLETED","time":"2026-11-27T12:00:00.000Z"}]'
  WHERE checkout_id = 'chk_' || :n AND state = 'RUNNING' AND jsonb_array_length(steps) = 1
  RETURNING checkout_id)
INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
SELECT uuidv7(), 'chk', checkout_id, version, 'CheckoutAdvanced', ${BYTES}
FROM advanced, generate_series(2, 6) AS version;`;

const ORDER = `
\\set n random(1, 1000000000000)
WITH placed AS (
  INSERT INTO orders (order_id, customer_id, currency, total, checkout_id, create_time, update_time,
    status_time, content_hash)
  VALUES ('ord_' || :n, '17850', 'GBP', 1530, 'chk_' || :n, now(), now(), now(),
    decode(repeat('ab', 32), 'hex'))
  ON CONFLICT DO NOTHING RETURNING order_id
), lines AS (
  INSERT INTO order_lines (order_id, line_no, sku, title, quantity, unit_price)
  SELECT order_id, line, 'even-' || line, 'WHITE HANGING HEART T-LIGHT HOLDER', 2, 255
  FROM placed, generate_series(1, 3) AS line
), change AS (
  INSERT INTO order_changes (order_id, revision, snapshot) SELECT order_id, 1, ${BYTES} FROM placed
)
INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
SELECT uuidv7(), 'ord', order_id, 1, 'OrderPlaced', ${BYTES} FROM placed;`;

/** A group is reserved, and later sold: as much work again. Before that, each asks for prices. */
const RESERVATIONS = [
  ...Array.from(
    { length: MEMBERS },
    () =>
      "SELECT sku, title, unit_price FROM product WHERE sku IN ('even-1', 'even-912', 'even-1823');",
  ),
  reserveGroup(2_800, MEMBERS, 3),
  reserveGroup(2_800, MEMBERS, 3),
].join("\n");

/** The databases of a shop, and what a checkout asks of each. */
type Urls = Record<"inventory" | "orders" | "checkout", string>;

export const prepareCheckoutLimit = ({ inventory }: Urls) => prepareLimit(inventory);

/**
 * Checkouts a second by pgbench: the same rows in as many commits, without Node, gRPC and the relay
 * of events. pgbench knows one database at a time, so the three are measured one after the other and
 * their times added.
 */
export async function checkoutLimit(program: string, urls: Urls, seconds: number): Promise<number> {
  const runs = [
    { url: urls.inventory, script: RESERVATIONS, clients: 2, checkouts: MEMBERS },
    { url: urls.orders, script: ORDER, clients: CLIENTS, checkouts: 1 },
    { url: urls.checkout, script: CHECKOUT, clients: CLIENTS, checkouts: 1 },
  ];
  let secondsPerCheckout = 0;
  for (const { url, script, clients, checkouts } of runs)
    secondsPerCheckout +=
      1 / (checkouts * (await pgbench(program, url, { script, clients, seconds })));
  return 1 / secondsPerCheckout;
}
