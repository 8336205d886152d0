-- Ids and SKUs compare by bytes (COLLATE "C"): quicker, and the order of ids is the order of their time.

CREATE TYPE "order_state" AS ENUM ('PLACED', 'CANCELLED', 'RETURNED');

CREATE TYPE "cancel_reason" AS ENUM ('CUSTOMER_REQUEST', 'CHECKOUT_FAILED', 'SHOP_DECISION');

CREATE TYPE "return_reason" AS ENUM ('UNWANTED', 'DEFECTIVE', 'WRONG_ITEM', 'NOT_RECORDED');

CREATE TABLE "orders" (
    "order_id" TEXT COLLATE "C" NOT NULL,
    "customer_id" TEXT COLLATE "C" NOT NULL,
    "state" "order_state" NOT NULL DEFAULT 'PLACED',
    "currency" TEXT NOT NULL,
    "total" BIGINT NOT NULL,
    "refunded" BIGINT NOT NULL DEFAULT 0,
    "shipping_address" BYTEA,
    "checkout_id" TEXT NOT NULL,
    "create_time" TIMESTAMPTZ(3) NOT NULL,
    "update_time" TIMESTAMPTZ(3) NOT NULL,
    "revision" BIGINT NOT NULL DEFAULT 1,
    "cancel_reason" "cancel_reason",
    "content_hash" BYTEA NOT NULL,

    CONSTRAINT "orders_pkey" PRIMARY KEY ("order_id")
);

CREATE TABLE "order_lines" (
    "order_id" TEXT COLLATE "C" NOT NULL,
    "line_no" INTEGER NOT NULL,
    "sku" TEXT COLLATE "C" NOT NULL,
    "title" TEXT NOT NULL,
    "quantity" BIGINT NOT NULL,
    "unit_price" BIGINT NOT NULL,
    "returned_quantity" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "order_lines_pkey" PRIMARY KEY ("order_id","line_no")
);

CREATE TABLE "order_changes" (
    "order_id" TEXT COLLATE "C" NOT NULL,
    "revision" BIGINT NOT NULL,
    "snapshot" BYTEA NOT NULL,
    "return_id" TEXT COLLATE "C",

    CONSTRAINT "order_changes_pkey" PRIMARY KEY ("order_id","revision")
);

CREATE TABLE "returns" (
    "return_id" TEXT COLLATE "C" NOT NULL,
    "order_id" TEXT COLLATE "C",
    "customer_id" TEXT COLLATE "C" NOT NULL,
    "reason" "return_reason" NOT NULL,
    "currency" TEXT NOT NULL,
    "refund" BIGINT NOT NULL,
    "create_time" TIMESTAMPTZ(3) NOT NULL,
    "content_hash" BYTEA NOT NULL,

    CONSTRAINT "returns_pkey" PRIMARY KEY ("return_id")
);

CREATE TABLE "return_lines" (
    "return_id" TEXT COLLATE "C" NOT NULL,
    "line_no" INTEGER NOT NULL,
    "sku" TEXT COLLATE "C" NOT NULL,
    "quantity" BIGINT NOT NULL,
    "unit_price" BIGINT NOT NULL,

    CONSTRAINT "return_lines_pkey" PRIMARY KEY ("return_id","line_no")
);

CREATE INDEX "orders_create_time_order_id_idx" ON "orders"("create_time", "order_id");

CREATE INDEX "orders_customer_id_create_time_order_id_idx" ON "orders"("customer_id", "create_time", "order_id");

CREATE INDEX "returns_order_id_idx" ON "returns"("order_id");

ALTER TABLE "order_lines" ADD CONSTRAINT "order_lines_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"("order_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "order_changes" ADD CONSTRAINT "order_changes_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"("order_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "order_changes" ADD CONSTRAINT "order_changes_return_id_fkey" FOREIGN KEY ("return_id") REFERENCES "returns"("return_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "returns" ADD CONSTRAINT "returns_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"("order_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "return_lines" ADD CONSTRAINT "return_lines_return_id_fkey" FOREIGN KEY ("return_id") REFERENCES "returns"("return_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What no change of an order may break, whoever makes it. Prisma's schema cannot say this.
ALTER TABLE "orders"
    ADD CONSTRAINT "orders_refunded_check" CHECK ("refunded" BETWEEN 0 AND "total"),
    ADD CONSTRAINT "orders_revision_check" CHECK ("revision" >= 1),
    ADD CONSTRAINT "orders_cancel_reason_check" CHECK (("state" = 'CANCELLED') = ("cancel_reason" IS NOT NULL));

ALTER TABLE "order_lines"
    ADD CONSTRAINT "order_lines_quantity_check" CHECK ("quantity" > 0),
    ADD CONSTRAINT "order_lines_unit_price_check" CHECK ("unit_price" > 0),
    ADD CONSTRAINT "order_lines_returned_quantity_check" CHECK ("returned_quantity" BETWEEN 0 AND "quantity");

ALTER TABLE "return_lines"
    ADD CONSTRAINT "return_lines_quantity_check" CHECK ("quantity" > 0),
    ADD CONSTRAINT "return_lines_unit_price_check" CHECK ("unit_price" > 0);
