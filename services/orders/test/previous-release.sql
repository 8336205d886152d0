-- What the release before emporium.orders.v2 says to the database, as it was committed then: its hot
-- statements, and what Prisma made of the rest. previous-release.test.ts runs it on today's tables.
-- Never edited; it goes when that release can no longer run beside today's.

-- name: place-order
WITH placed AS (
  INSERT INTO orders (order_id, customer_id, currency, total, shipping_address, checkout_id,
                      create_time, update_time, content_hash)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
  ON CONFLICT (order_id) DO NOTHING
  RETURNING order_id, revision
), lines AS (
  INSERT INTO order_lines (order_id, line_no, sku, title, quantity, unit_price)
  SELECT order_id, line_no, sku, title, quantity, unit_price
  FROM placed, unnest($9::text[], $10::text[], $11::bigint[], $12::bigint[])
    WITH ORDINALITY AS line (sku, title, quantity, unit_price, line_no)
), change AS (
  INSERT INTO order_changes (order_id, revision, snapshot)
  SELECT order_id, revision, $13::bytea FROM placed
), event AS (
  INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload, headers)
  SELECT $14::uuid, $15, order_id, revision, $16, $17::bytea, $18::jsonb FROM placed
)
SELECT order_id FROM placed

-- name: read-order
SELECT change.snapshot, placed.shipping_address, placed.content_hash
FROM orders placed JOIN order_changes change USING (order_id, revision)
WHERE order_id = $1

-- name: list-orders
SELECT snapshot, shipping_address, has_next
FROM (
  SELECT change.snapshot, placed.shipping_address,
    lead(order_id) OVER by_time IS NOT NULL AS has_next,
    sum(octet_length(change.snapshot)) OVER by_time - octet_length(change.snapshot) AS before
  FROM orders placed JOIN order_changes change USING (order_id, revision)
  WHERE (placed.create_time, order_id) < ($1, $2)
  WINDOW by_time AS (ORDER BY placed.create_time DESC, order_id DESC)
  ORDER BY placed.create_time DESC, order_id DESC
  LIMIT $3
) page
WHERE before < $4

-- name: watch-order
SELECT revision, state, shipping_address FROM orders WHERE order_id = $1

-- name: lock-order
SELECT FROM orders WHERE order_id = $1 FOR UPDATE

-- name: read-row
SELECT "public"."orders"."order_id", "public"."orders"."customer_id", "public"."orders"."state"::text,
  "public"."orders"."currency", "public"."orders"."total", "public"."orders"."refunded",
  "public"."orders"."shipping_address", "public"."orders"."checkout_id",
  "public"."orders"."create_time", "public"."orders"."update_time", "public"."orders"."revision",
  "public"."orders"."cancel_reason"::text, "public"."orders"."content_hash"
FROM "public"."orders"
WHERE ("public"."orders"."order_id" = $1 AND 1=1) LIMIT $2 OFFSET $3

-- name: change-order
UPDATE "public"."orders"
SET "state" = CAST($1::text AS "public"."order_state"), "refunded" = $2,
  "cancel_reason" = CAST($3::text AS "public"."cancel_reason"), "revision" = $4, "update_time" = $5
WHERE ("public"."orders"."order_id" = $6 AND 1=1)

-- name: record-change
INSERT INTO "public"."order_changes" ("order_id", "revision", "snapshot", "return_id")
VALUES ($1, $2, $3, $4)
