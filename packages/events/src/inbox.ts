import type { Database, PrismaClientLike, Tx } from "@emporium/database";
import type { Delivery } from "./delivery.js";
import type { EventMeta } from "./envelope.js";

/** How an event stands to what a consumer has taken in before. */
export type Taken =
  /** Its effect is committed; `revived` if it had failed before. */
  | { outcome: "applied"; revived: boolean }
  /** Its effect was committed before. */
  | { outcome: "duplicate" }
  /** An earlier version has not been taken in; `first` if none of the aggregate has. */
  | { outcome: "early"; first: boolean }
  /** Another process is at it, or just was. */
  | { outcome: "contended" }
  /** Its version was taken in with another event id: the source's database was set back. */
  | { outcome: "conflict" };

/**
 * One statement decides: the position moves from the version before to this one, or not at all,
 * under the row lock that a second delivery of the same event waits for.
 */
const TAKE = `
WITH advanced AS (
  INSERT INTO inbox_position AS p (consumer, aggregate_type, aggregate_id, version)
  SELECT $1, $3, $4, $5::bigint
  WHERE $5::bigint = 1 OR $6::boolean OR EXISTS (
    SELECT FROM inbox_position
    WHERE consumer = $1 AND aggregate_type = $3 AND aggregate_id = $4)
  ON CONFLICT (consumer, aggregate_type, aggregate_id)
    DO UPDATE SET version = EXCLUDED.version WHERE p.version = EXCLUDED.version - 1
  RETURNING version
), noted AS (
  INSERT INTO inbox (consumer, event_id) SELECT $1, $2::uuid FROM advanced
), cleared AS (
  DELETE FROM inbox_failure f USING advanced
  WHERE f.consumer = $1 AND f.event_id = $2::uuid RETURNING f.event_id
)
SELECT EXISTS (SELECT FROM advanced) AS advanced,
  EXISTS (SELECT FROM cleared) AS revived,
  EXISTS (SELECT FROM inbox WHERE consumer = $1 AND event_id = $2::uuid) AS known,
  (SELECT version FROM inbox_position
   WHERE consumer = $1 AND aggregate_type = $3 AND aggregate_id = $4) AS position`;

interface TakeRow {
  advanced: boolean;
  revived: boolean;
  known: boolean;
  /** As it was before. */
  position: bigint | null;
}

const FAIL = `
INSERT INTO inbox_failure AS f
  (consumer, event_id, message_id, aggregate_type, aggregate_id, version, attempts, error, dead_time)
SELECT $1, $2::uuid, $6::uuid, $3, $4, $5::bigint, $9::int, $7, CASE WHEN $8::boolean THEN now() END
WHERE NOT EXISTS (SELECT FROM inbox WHERE consumer = $1 AND event_id = $2::uuid)
ON CONFLICT (consumer, event_id) DO UPDATE
SET attempts = CASE WHEN f.message_id = EXCLUDED.message_id THEN f.attempts ELSE 0 END + $9::int, error = EXCLUDED.error, dead_time = EXCLUDED.dead_time,
    message_id = EXCLUDED.message_id
RETURNING attempts`;

const DEAD_BEFORE = `
SELECT dead_time AS "deadTime" FROM inbox_failure
WHERE consumer = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND version < $4::bigint
  AND dead_time IS NOT NULL
ORDER BY version DESC LIMIT 1`;

const PRUNE = `
DELETE FROM inbox WHERE (consumer, event_id) IN (
  SELECT consumer, event_id FROM inbox
  WHERE consumer = $1 AND event_id < $2::uuid ORDER BY event_id LIMIT 1000 FOR UPDATE SKIP LOCKED)
RETURNING event_id`;

const POSITIONS = `
SELECT p.version FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS asked (type, id, nr)
LEFT JOIN inbox_position p
  ON p.consumer = $1 AND p.aggregate_type = asked.type AND p.aggregate_id = asked.id
ORDER BY asked.nr`;

/** What one consumer has taken in, in the database that its effects go to. */
export class Inbox<Client extends PrismaClientLike> {
  readonly #database: Database<Client>;
  readonly #consumer: string;

  constructor(database: Database<Client>, consumer: string) {
    this.#database = database;
    this.#consumer = consumer;
  }

  /**
   * Takes the event in and commits its effect with it, unless it was taken in before or comes too
   * early. With `start` it may be the first of its aggregate with any version.
   */
  async take(
    event: EventMeta,
    effect: ((tx: Tx<Client>) => Promise<void>) | undefined,
    { start = false, signal, limitMs }: { start?: boolean; signal: AbortSignal; limitMs: number },
  ): Promise<Taken> {
    const values = [...this.#key(event), start];
    if (!effect) {
      const [row] = await this.#database.query<TakeRow>(signal, TAKE, values);
      return judge(row!, event.version);
    }
    const work = async (tx: Tx<Client>): Promise<Taken> => {
      const [row] = await tx.query<TakeRow>(TAKE, values);
      if (row!.advanced) await effect(tx);
      return judge(row!, event.version);
    };
    return this.#database.transaction(signal, work, { timeoutMs: limitMs });
  }

  /** Counts a try that failed, and keeps why; gives the number of this message's tries. */
  async fail(event: Delivery, error: string, signal: AbortSignal): Promise<number> {
    return this.#keepFailure(event, { error, dead: false }, signal);
  }

  /** Notes that the event is a dead letter, before it is one; gives the number of its tries. */
  async bury(event: Delivery, error: string, signal: AbortSignal): Promise<number> {
    return this.#keepFailure(event, { error, dead: true }, signal);
  }

  /** When the nearest earlier event of the aggregate became a dead letter, if one is. */
  async deadBefore(event: EventMeta, signal: AbortSignal): Promise<Date | undefined> {
    const [row] = await this.#database.query<{ deadTime: Date }>(signal, DEAD_BEFORE, [
      this.#consumer,
      event.aggregateType,
      event.aggregateId,
      event.version,
    ]);
    return row?.deadTime;
  }

  /** The last version of each event's aggregate that was taken in, 0 if none was. */
  async positions(events: readonly EventMeta[], signal: AbortSignal): Promise<bigint[]> {
    const rows = await this.#database.query<{ version: bigint | null }>(signal, POSITIONS, [
      this.#consumer,
      events.map(({ aggregateType }) => aggregateType),
      events.map(({ aggregateId }) => aggregateId),
    ]);
    return rows.map(({ version }) => version ?? 0n);
  }

  async has(eventId: string, signal: AbortSignal): Promise<boolean> {
    const found = await this.#database.query(
      signal,
      `SELECT FROM inbox WHERE consumer = $1 AND event_id = $2::uuid`,
      [this.#consumer, eventId],
    );
    return found.length > 0;
  }

  /** The database's time. */
  now(): Date {
    return this.#database.clock.now();
  }

  /** Waits until the database answers; rejects as it does when it does not. */
  ping(signal: AbortSignal): Promise<void> {
    return this.#database.ping(signal);
  }

  /** Drops up to 1,000 ids below the one given and tells how many. Positions stay for ever. */
  async prune(below: string, signal: AbortSignal): Promise<number> {
    return (await this.#database.query(signal, PRUNE, [this.#consumer, below])).length;
  }

  async #keepFailure(
    event: Delivery,
    { error, dead }: { error: string; dead: boolean },
    signal: AbortSignal,
  ): Promise<number> {
    const values = [...this.#key(event), event.messageId, error, dead, dead ? 0 : 1];
    const [row] = await this.#database.query<{ attempts: number }>(signal, FAIL, values);
    return row?.attempts ?? 1;
  }

  #key({ id, aggregateType, aggregateId, version }: EventMeta): unknown[] {
    return [this.#consumer, id, aggregateType, aggregateId, version];
  }
}

function judge({ advanced, revived, known, position }: TakeRow, version: bigint): Taken {
  if (advanced) return { outcome: "applied", revived };
  if (known) return { outcome: "duplicate" };
  if (position === null) {
    return version === 1n ? { outcome: "contended" } : { outcome: "early", first: true };
  }
  if (version > position + 1n) return { outcome: "early", first: false };
  return version === position + 1n ? { outcome: "contended" } : { outcome: "conflict" };
}
