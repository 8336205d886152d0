-- The tables of @emporium/events. Each service with a database of its own has this text, word for
-- word, in one of its migrations.

-- What happened here, written in the transaction in which it happened. A row stays seven days after
-- its publication, so that whatever the stream loses can be published again.
CREATE TABLE outbox (
  id                 uuid        NOT NULL,
  aggregate_type     text        COLLATE "C" NOT NULL,
  aggregate_id       text        COLLATE "C" NOT NULL,
  version            bigint      NOT NULL CHECK (version > 0),
  type               text        NOT NULL,
  payload            bytea       NOT NULL,
  headers            jsonb       NOT NULL DEFAULT '{}',
  create_time        timestamptz NOT NULL DEFAULT now(),
  -- The share of the aggregates that this one belongs to; a relay claims lanes, never rows.
  lane               smallint    NOT NULL GENERATED ALWAYS AS
                       ((hashtextextended(aggregate_id, 0) & 31)::smallint) STORED,
  publish_time       timestamptz,
  -- When the stream that has it was made, as the server says it, and its place in there.
  stream_incarnation text,
  stream_sequence    bigint,
  CONSTRAINT outbox_pkey PRIMARY KEY (id),
  CONSTRAINT outbox_aggregate_version_key UNIQUE (aggregate_type, aggregate_id, version)
);

-- What still has to go out, in the order in which it has to; as small as the relays are quick.
CREATE INDEX outbox_waiting_idx ON outbox (lane, aggregate_type, aggregate_id, version)
  WHERE publish_time IS NULL;

-- Who publishes a lane now. The fence rises with each claim; a mark names the fence it was made
-- under. The tail is the last event of the lane that the stream acknowledged: while it stands where
-- it stood, the stream has lost nothing before it.
CREATE TABLE outbox_lane (
  lane             smallint    NOT NULL,
  owner            uuid,
  fence            bigint      NOT NULL DEFAULT 0,
  lease_until      timestamptz NOT NULL DEFAULT '-infinity',
  tail_incarnation text,
  tail_sequence    bigint,
  tail_id          uuid,
  CONSTRAINT outbox_lane_pkey PRIMARY KEY (lane)
) WITH (fillfactor = 50);

INSERT INTO outbox_lane (lane) SELECT generate_series(0, 31);

-- What was taken in, once for each consumer, written in the transaction of its effect.
CREATE TABLE inbox (
  consumer    text        COLLATE "C" NOT NULL,
  event_id    uuid        NOT NULL,
  create_time timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id)
);

-- How far each consumer is with each aggregate. Versions are taken one after the other.
CREATE TABLE inbox_position (
  consumer       text   COLLATE "C" NOT NULL,
  aggregate_type text   COLLATE "C" NOT NULL,
  aggregate_id   text   COLLATE "C" NOT NULL,
  version        bigint NOT NULL,
  CONSTRAINT inbox_position_pkey PRIMARY KEY (consumer, aggregate_type, aggregate_id)
) WITH (fillfactor = 90);

-- What could not be taken in so far. With a dead_time it is a dead letter, and later versions of its
-- aggregate become dead letters too instead of overtaking it. The row goes when the effect comes.
CREATE TABLE inbox_failure (
  consumer       text        COLLATE "C" NOT NULL,
  event_id       uuid        NOT NULL,
  -- Id of the message that brought the event: another one when it is sent again from the dead letters.
  message_id     uuid        NOT NULL,
  aggregate_type text        COLLATE "C" NOT NULL,
  aggregate_id   text        COLLATE "C" NOT NULL,
  version        bigint      NOT NULL,
  attempts       integer     NOT NULL DEFAULT 0,
  error          text,
  dead_time      timestamptz,
  CONSTRAINT inbox_failure_pkey PRIMARY KEY (consumer, event_id)
);

CREATE INDEX inbox_failure_aggregate_idx
  ON inbox_failure (consumer, aggregate_type, aggregate_id, version);
