import { randomUUID } from "node:crypto";
import type { Database, PrismaClientLike } from "@emporium/database";

/** Any service's database; which Prisma client it has does not matter here. */
export type AnyDatabase = Pick<Database<PrismaClientLike>, "query">;

const LANES = 32;

/** An outbox row on its way out. */
export interface WaitingRow {
  lane: number;
  id: string;
  aggregateType: string;
  aggregateId: string;
  version: bigint;
  type: string;
  payload: Uint8Array;
  headers: Record<string, string>;
  createTime: Date;
}

/** The right to publish a lane; worth nothing any more once the lane has a higher fence. */
export interface Claim {
  lane: number;
  fence: bigint;
}

/** How long a dead relay keeps its lanes from the others. */
const LEASE_MS = 4_000;

/** How much one claim takes: lanes, aggregates of each lane, and rows of each aggregate. */
export const CLAIM_LIMITS = { lanes: 8, chains: 8, rows: 8 };

/** The last event of a lane that the stream acknowledged. */
export interface Tail {
  lane: number;
  incarnation: string;
  sequence: bigint;
  id: string;
}

/** A row that the stream has acknowledged. */
export interface Acknowledged {
  row: WaitingRow;
  sequence: number;
}

/**
 * From each lane some aggregates and from each of them some rows, so that many chains go out side by
 * side. Each claim begins behind the aggregate where the one before stopped: none is starved. Each
 * look at the rows is one step down the index, so a claim takes as long with a million waiting.
 * The limits stand in the text: of one that is a parameter the planner expects a tenth of the table.
 */
const CLAIM = `
WITH RECURSIVE free AS (
  SELECT l.lane FROM outbox_lane l CROSS JOIN LATERAL (
    SELECT FROM outbox o
    WHERE o.lane = l.lane AND o.publish_time IS NULL AND NOT o.aggregate_id = ANY ($2::text[])
    ORDER BY o.aggregate_type, o.aggregate_id LIMIT 1
  ) AS work
  WHERE l.lease_until <= now()
  ORDER BY l.lease_until LIMIT ${CLAIM_LIMITS.lanes} FOR UPDATE OF l SKIP LOCKED
), claimed AS (
  UPDATE outbox_lane l
  SET owner = $1::uuid, fence = l.fence + 1, lease_until = now() + interval '${LEASE_MS} ms'
  FROM free WHERE l.lane = free.lane
  RETURNING l.lane, l.fence
), chain (lane, type, id, nr) AS (
  SELECT claimed.lane, start.type COLLATE "C", start.id COLLATE "C", 0
  FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS start (type, id, nr)
  JOIN claimed ON claimed.lane = start.nr - 1
  UNION ALL
  SELECT chain.lane, next.aggregate_type, next.aggregate_id, chain.nr + 1
  FROM chain CROSS JOIN LATERAL (
    SELECT o.aggregate_type, o.aggregate_id FROM outbox o
    WHERE o.lane = chain.lane AND o.publish_time IS NULL
      AND (o.aggregate_type, o.aggregate_id) > (chain.type, chain.id)
      AND NOT o.aggregate_id = ANY ($2::text[])
    ORDER BY o.aggregate_type, o.aggregate_id LIMIT 1
  ) AS next
  WHERE chain.nr < ${CLAIM_LIMITS.chains}
), waiting AS (
  SELECT chain.lane, row.*
  FROM chain CROSS JOIN LATERAL (
    SELECT o.id, o.aggregate_type, o.aggregate_id, o.version, o.type, o.payload, o.headers, o.create_time
    FROM outbox o
    WHERE o.lane = chain.lane AND o.publish_time IS NULL
      AND o.aggregate_type = chain.type AND o.aggregate_id = chain.id
    ORDER BY o.version LIMIT ${CLAIM_LIMITS.rows}
  ) AS row
  WHERE chain.nr > 0
)
SELECT claimed.lane AS "claimedLane", claimed.fence,
  (SELECT count(*) > ${CLAIM_LIMITS.chains} FROM chain WHERE chain.lane = claimed.lane) AS more,
  waiting.id, waiting.aggregate_type AS "aggregateType", waiting.aggregate_id AS "aggregateId",
  waiting.version, waiting.type, waiting.payload, waiting.headers, waiting.create_time AS "createTime"
FROM claimed LEFT JOIN waiting USING (lane)
ORDER BY claimed.lane, waiting.aggregate_type, waiting.aggregate_id, waiting.version`;

const HELD = `
SELECT l.lane FROM outbox_lane l
JOIN unnest($1::smallint[], $2::bigint[]) AS claim (lane, fence) USING (lane, fence)
ORDER BY l.lane FOR UPDATE OF l`;

const MARK = `
WITH held AS (${HELD}), marked AS (
  UPDATE outbox o
  SET publish_time = now(), stream_incarnation = $3, stream_sequence = published.sequence
  FROM unnest($4::uuid[], $5::bigint[]) AS published (id, sequence)
  WHERE o.id = published.id AND o.lane IN (SELECT lane FROM held)
  RETURNING o.lane, o.id, o.stream_sequence
), tail AS (
  SELECT DISTINCT ON (lane) lane, id, stream_sequence FROM marked ORDER BY lane, stream_sequence DESC
)
UPDATE outbox_lane l
SET lease_until = now(),
    tail_incarnation = CASE WHEN tail.later THEN $3 ELSE tail_incarnation END,
    tail_sequence = CASE WHEN tail.later THEN tail.stream_sequence ELSE tail_sequence END,
    tail_id = CASE WHEN tail.later THEN tail.id ELSE tail_id END
FROM (
  SELECT held.lane, tail.id, tail.stream_sequence,
    tail.id IS NOT NULL AND (t.tail_incarnation IS DISTINCT FROM $3 OR t.tail_sequence < tail.stream_sequence) AS later
  FROM held JOIN outbox_lane t USING (lane) LEFT JOIN tail USING (lane)
) AS tail
WHERE l.lane = tail.lane
RETURNING l.lane`;

const SEIZE = `
WITH every AS (SELECT lane FROM outbox_lane ORDER BY lane FOR UPDATE)
UPDATE outbox_lane l
SET owner = $1::uuid, fence = l.fence + 1, lease_until = now() + $2 * interval '1 ms'
FROM every WHERE l.lane = every.lane
RETURNING l.lane, l.fence, l.tail_incarnation AS incarnation, l.tail_sequence AS sequence, l.tail_id AS id`;

/** A window of rows at a time, so that the statement takes as long in an outbox of any size. */
const FORGET = `
WITH held AS (${HELD}), renewed AS (
  UPDATE outbox_lane l SET lease_until = now() + $3 * interval '1 ms'
  FROM held WHERE l.lane = held.lane RETURNING l.lane
), part AS (
  SELECT id FROM outbox WHERE id > $4::uuid ORDER BY id LIMIT 10000
), forgotten AS (
  UPDATE outbox o SET publish_time = NULL, stream_incarnation = NULL, stream_sequence = NULL
  FROM part
  WHERE o.id = part.id AND o.publish_time IS NOT NULL AND o.lane IN (SELECT lane FROM held)
    AND (o.stream_incarnation <> $5 OR o.stream_sequence > $6 OR o.stream_sequence = ANY ($7::bigint[]))
  RETURNING o.id
)
SELECT (SELECT count(*)::int FROM renewed) AS held, (SELECT count(*)::int FROM forgotten) AS forgotten,
  (SELECT id FROM part ORDER BY id DESC LIMIT 1) AS last`;

const RELEASE = `
WITH held AS (${HELD})
UPDATE outbox_lane l
SET lease_until = now(),
    tail_incarnation = CASE WHEN $3 THEN NULL ELSE tail_incarnation END,
    tail_sequence = CASE WHEN $3 THEN NULL ELSE tail_sequence END,
    tail_id = CASE WHEN $3 THEN NULL ELSE tail_id END
FROM held WHERE l.lane = held.lane
RETURNING l.lane`;

type ClaimedRow = { claimedLane: number; fence: bigint; more: boolean } & (
  Omit<WaitingRow, "lane"> | { [Key in keyof Omit<WaitingRow, "lane">]: null }
);

/** What the stream may have lost: everything of another incarnation, past an end, or at a hole. */
export interface Loss {
  incarnation: string;
  /** The last sequence number that surely stands. */
  standing: bigint;
  holes: readonly number[];
}

/**
 * The shares of the outbox, each published by one relay at a time. A claim is a lease of a few
 * seconds with a fence: a relay that was stopped for longer can still publish, which the inboxes
 * notice, but no longer mark.
 */
export class Lanes {
  readonly #database: AnyDatabase;
  readonly #owner = randomUUID();
  readonly #starts = Array.from({ length: LANES }, () => ({ type: "", id: "" }));

  constructor(database: AnyDatabase) {
    this.#database = database;
  }

  /** Takes free lanes that have work, the longest untouched first, with some of their rows. */
  async claim(
    without: readonly string[],
    signal: AbortSignal,
  ): Promise<{ claims: Claim[]; rows: WaitingRow[] }> {
    const found = await this.#database.query<ClaimedRow>(signal, CLAIM, [
      this.#owner,
      without,
      this.#starts.map((start) => start.type),
      this.#starts.map((start) => start.id),
    ]);
    const claims = new Map<number, Claim>();
    const rows: WaitingRow[] = [];
    for (const { claimedLane: lane, fence, more, ...row } of found) {
      claims.set(lane, { lane, fence });
      this.#starts[lane] = more
        ? { type: row.aggregateType ?? "", id: row.aggregateId ?? "" }
        : { type: "", id: "" };
      if (row.id !== null) rows.push({ lane, ...row });
    }
    return { claims: [...claims.values()], rows };
  }

  /** Notes what was published and gives the lanes back; tells which of them were still ours. */
  async mark(
    claims: readonly Claim[],
    incarnation: string,
    published: readonly Acknowledged[],
  ): Promise<number[]> {
    const held = await this.#database.query<Claim>(undefined, MARK, [
      ...columns(claims),
      incarnation,
      published.map(({ row }) => row.id),
      published.map(({ sequence }) => sequence),
    ]);
    return held.map(({ lane }) => lane);
  }

  /** Takes every lane from whoever has it: nothing that is under way elsewhere can be marked now. */
  async seize(leaseMs: number, signal: AbortSignal): Promise<{ claims: Claim[]; tails: Tail[] }> {
    type Seized = Claim & (Tail | { incarnation: null; sequence: null; id: null });
    const seized = await this.#database.query<Seized>(signal, SEIZE, [this.#owner, leaseMs]);
    return {
      claims: seized.map(({ lane, fence }) => ({ lane, fence })),
      tails: seized.filter((lane) => lane.incarnation !== null),
    };
  }

  /**
   * Makes all rows that may be lost wait again and tells how many; renews the lease as it goes.
   * Undefined when the lanes were taken by another relay meanwhile.
   */
  async forget(
    claims: readonly Claim[],
    loss: Loss,
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    let forgotten = 0;
    for (let last: string | null = "00000000-0000-0000-0000-000000000000"; last !== null;) {
      type Part = { held: number; forgotten: number; last: string | null };
      const [part]: Part[] = await this.#database.query<Part>(signal, FORGET, [
        ...columns(claims),
        leaseMs,
        last,
        loss.incarnation,
        loss.standing,
        loss.holes,
      ]);
      if (part?.held !== claims.length) return undefined;
      forgotten += part.forgotten;
      last = part.last;
    }
    return forgotten;
  }

  /** Gives seized lanes back; `startOver` forgets their tails. False when they were lost. */
  async release(
    claims: readonly Claim[],
    startOver: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const held = await this.#database.query(signal, RELEASE, [...columns(claims), startOver]);
    return held.length === claims.length;
  }
}

function columns(claims: readonly Claim[]): [number[], bigint[]] {
  return [claims.map(({ lane }) => lane), claims.map(({ fence }) => fence)];
}
