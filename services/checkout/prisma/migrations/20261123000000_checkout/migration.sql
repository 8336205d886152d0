-- CreateEnum
CREATE TYPE "checkout_state" AS ENUM ('RUNNING', 'COMPLETED', 'REFUSED');

-- CreateEnum
CREATE TYPE "ledger_kind" AS ENUM ('authorize', 'decline', 'close', 'capture', 'void', 'refund');

-- CreateTable
CREATE TABLE "checkouts" (
    "checkout_id" VARCHAR(30) NOT NULL,
    "customer_id" VARCHAR(64) NOT NULL,
    "quote_id" VARCHAR(30),
    "state" "checkout_state" NOT NULL DEFAULT 'RUNNING',
    "currency" CHAR(3) NOT NULL,
    "total" BIGINT NOT NULL,
    "lines" JSONB NOT NULL,
    "shipping_address" BYTEA,
    "refusal" JSONB,
    "steps" JSONB NOT NULL,
    "content_hash" BYTEA NOT NULL,
    "create_time" TIMESTAMPTZ(3) NOT NULL,
    "end_time" TIMESTAMPTZ(3),
    "lease_owner" UUID NOT NULL,
    "lease_until" TIMESTAMPTZ(3) NOT NULL,
    "fence" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "checkouts_pkey" PRIMARY KEY ("checkout_id")
);

-- CreateTable
CREATE TABLE "quotes" (
    "quote_id" VARCHAR(30) NOT NULL,
    "customer_id" VARCHAR(64) NOT NULL,
    "currency" CHAR(3) NOT NULL,
    "total" BIGINT NOT NULL,
    "lines" JSONB NOT NULL,
    "content_hash" BYTEA NOT NULL,
    "expire_time" TIMESTAMPTZ(3) NOT NULL,
    "create_time" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "quotes_pkey" PRIMARY KEY ("quote_id")
);

-- CreateTable
CREATE TABLE "payment_ledger" (
    "payment_id" VARCHAR(30) NOT NULL,
    "kind" "ledger_kind" NOT NULL,
    "reference" VARCHAR(30) NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" CHAR(3) NOT NULL,
    "create_time" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "payment_ledger_pkey" PRIMARY KEY ("payment_id","kind","reference")
);

-- CreateIndex
CREATE INDEX "quotes_customer_id_expire_time_idx" ON "quotes"("customer_id", "expire_time");

-- A quote is bought by one checkout, and is free again once that is refused.
CREATE UNIQUE INDEX "checkouts_one_per_quote" ON "checkouts" ("quote_id")
    WHERE "quote_id" IS NOT NULL AND "state" <> 'REFUSED';

-- What a replica looks through for checkouts that nobody drives any more.
CREATE INDEX "checkouts_leases" ON "checkouts" ("lease_until") WHERE "state" = 'RUNNING';

-- A payment is answered once: authorized, declined, or closed without ever having been asked for;
-- and what was authorized is either captured or voided, once.
CREATE UNIQUE INDEX "payment_ledger_answered_once" ON "payment_ledger" ("payment_id")
    WHERE "kind" IN ('authorize', 'decline', 'close');
CREATE UNIQUE INDEX "payment_ledger_settled_once" ON "payment_ledger" ("payment_id")
    WHERE "kind" IN ('capture', 'void');
