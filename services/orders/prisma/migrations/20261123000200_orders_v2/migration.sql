-- What emporium.orders.v2 tells and v1 does not. This is the first of three steps (docs/adr/0011):
-- expand here, migrate here, contract with a later release. Nothing that the previous release reads
-- or writes changes, so both releases run on these tables at the same time.

-- Expand: what the previous release does not write has a default or is filled in below.
ALTER TABLE "orders"
    ADD COLUMN "tax_rate" INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN "cancel_note" TEXT NOT NULL DEFAULT '',
    ADD COLUMN "status_time" TIMESTAMPTZ(3);

-- The previous release places and changes orders without a status_time. The trigger goes with the
-- contract step, when no process of that release runs any more.
CREATE FUNCTION "orders_fill_status_time"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.status_time := COALESCE(NEW.status_time, NEW.create_time);
    ELSIF NEW.state <> OLD.state AND NEW.status_time IS NOT DISTINCT FROM OLD.status_time THEN
        NEW.status_time := NEW.update_time;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER "orders_fill_status_time" BEFORE INSERT OR UPDATE OF "state" ON "orders"
    FOR EACH ROW EXECUTE FUNCTION "orders_fill_status_time"();

-- Migrate: an order that is not PLACED never changes again, so its last change was that of its state.
UPDATE "orders"
SET "status_time" = CASE WHEN "state" = 'PLACED' THEN "create_time" ELSE "update_time" END
WHERE "status_time" IS NULL;

ALTER TABLE "orders"
    ALTER COLUMN "status_time" SET NOT NULL,
    ADD CONSTRAINT "orders_tax_rate_check" CHECK ("tax_rate" BETWEEN 0 AND 10000),
    ADD CONSTRAINT "orders_cancel_note_check" CHECK ("cancel_note" = '' OR "state" = 'CANCELLED');
