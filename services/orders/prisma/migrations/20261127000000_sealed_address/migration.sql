-- Addresses are sealed from here on (docs/adr/0022), in a column of their own: the previous release
-- reads "shipping_address" as a message, and could not read a sealed one. It shows the orders of this
-- release without their address while both run. `reseal` moves the old addresses over; the contract
-- step of a later release drops the old column.
ALTER TABLE "orders" ADD COLUMN "sealed_address" BYTEA;
