-- The contract step of emporium.orders.v2 (docs/adr/0011), as a later release will bring it among its
-- migrations: not before no process of the release before v2 is left. previous-release.test.ts
-- shows that today's release does without the trigger, and that the previous one does not.
DROP TRIGGER "orders_fill_status_time" ON "orders";

DROP FUNCTION "orders_fill_status_time"();
