-- Revision 0: the id of an order that was cancelled before it was placed, and never will be.
ALTER TABLE orders DROP CONSTRAINT orders_revision_check;
ALTER TABLE orders ADD CONSTRAINT orders_revision_check CHECK (revision >= 0);
