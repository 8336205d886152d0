-- SKUs and ids are ordered by bytes, as everything that locks or pages by them expects.
CREATE TYPE reservation_state AS ENUM ('HELD', 'COMMITTED', 'RELEASED', 'EXPIRED', 'REFUSED');

CREATE TABLE product (
  sku VARCHAR(32) COLLATE "C" NOT NULL,
  title VARCHAR(200) NOT NULL,
  unit_price BIGINT CHECK (unit_price > 0),
  on_hand BIGINT NOT NULL DEFAULT 0,
  reserved BIGINT NOT NULL DEFAULT 0,
  stock_revision BIGINT NOT NULL DEFAULT 0,
  create_time TIMESTAMPTZ(3) NOT NULL,
  update_time TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT product_pkey PRIMARY KEY (sku),
  CONSTRAINT product_level CHECK (0 <= reserved AND reserved <= on_hand)
);

CREATE TABLE reservation (
  id VARCHAR(30) COLLATE "C" NOT NULL,
  state reservation_state NOT NULL,
  lines JSONB NOT NULL,
  shortages JSONB NOT NULL,
  create_time TIMESTAMPTZ(3) NOT NULL,
  expire_time TIMESTAMPTZ(3),
  CONSTRAINT reservation_pkey PRIMARY KEY (id),
  CONSTRAINT reservation_expires CHECK (state <> 'HELD' OR expire_time IS NOT NULL)
);

-- What the sweep looks for; small, since most reservations are not held any more.
CREATE INDEX reservation_held ON reservation (expire_time) WHERE state = 'HELD';

CREATE TABLE stock_import (
  id VARCHAR(30) NOT NULL,
  decided BIGINT NOT NULL DEFAULT 0,
  rejected BIGINT NOT NULL DEFAULT 0,
  rejections JSONB NOT NULL DEFAULT '[]',
  version BIGINT NOT NULL DEFAULT 0,
  create_time TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT stock_import_pkey PRIMARY KEY (id)
);
