CREATE TABLE "account" (
    "id" TEXT NOT NULL,
    "balance" BIGINT NOT NULL,
    CONSTRAINT "account_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "entry" (
    "id" BIGSERIAL NOT NULL,
    "account_id" TEXT NOT NULL,
    "amount" BIGINT NOT NULL,
    "create_time" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "entry_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "entry_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE "outbox" (
    "id" UUID PRIMARY KEY,
    "aggregate_type" TEXT NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "version" BIGINT NOT NULL,
    "type" TEXT NOT NULL,
    "payload" BYTEA NOT NULL,
    "headers" JSONB NOT NULL,
    "create_time" TIMESTAMPTZ(3) NOT NULL,
    "sequence" BIGINT GENERATED ALWAYS AS IDENTITY,
    UNIQUE ("aggregate_id", "version")
);

-- A body with semicolons; the stock adapter would cut it, and this comment; in pieces.
CREATE FUNCTION "total"() RETURNS NUMERIC LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1;
    RETURN (SELECT coalesce(sum(balance), 0) FROM account);
END;
$$;
