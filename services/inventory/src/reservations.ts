import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import {
  type Reservation,
  ReservationSchema,
  ReservationState,
  type StockLine,
} from "@emporium/contracts/inventory/v1";
import { CommitUnknownError, Database, type Tx } from "@emporium/database";
import { Inject, Injectable } from "@nestjs/common";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient, ReservationState as StateColumn } from "./generated/prisma/client.js";
import { Group } from "./group.js";
import {
  type Ask,
  decide,
  type Entry,
  type Ledger,
  type Shortage,
} from "./reservation-outcomes.js";
import { LockedStock } from "./stock.js";

/** Reservations that one pass of the sweep lets expire; few, since their products stay locked. */
const SWEEP_BATCH = 50;

/** Longest that one transaction may take: as long as the contract lets any of its calls take. */
const LONGEST_MS = 10_000;

/** Typed SQL here and below, since Prisma has neither row locks nor writes of many rows in one. */
const LOCK = `
  SELECT id, state, lines, shortages, create_time AS "createTime", expire_time AS "expireTime"
  FROM reservation WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE`;

/** Who finds a row locked leaves it to whoever holds it. */
const LOCK_DUE = `
  SELECT id FROM reservation WHERE state = 'HELD' AND expire_time <= $1::timestamptz
  ORDER BY expire_time LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED`;

const SAVE = `
  WITH ended AS (
    UPDATE reservation SET state = new.state
    FROM unnest($2::text[], $3::reservation_state[]) AS new (id, state)
    WHERE reservation.id = new.id
  )
  INSERT INTO reservation (id, state, lines, shortages, create_time, expire_time)
  SELECT id, state, lines, shortages, "createTime", "expireTime"
  FROM jsonb_to_recordset($1::jsonb) AS new (
    id text, state reservation_state, lines jsonb, shortages jsonb,
    "createTime" timestamptz, "expireTime" timestamptz
  )
  ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id`;

interface ReservationRow {
  id: string;
  state: StateColumn;
  lines: { sku: string; quantity: number }[];
  shortages: Shortage[];
  createTime: Date;
  expireTime: Date | null;
}

/** Two transactions made the same reservation at one time; the one that came second starts over. */
class Overtaken extends Error {}

/**
 * Stock that is promised. Whatever is asked at one time is decided together, first come first
 * served, in one transaction that locks what it reads, decides in memory and then writes: on a
 * product that everybody wants, the lock and the commit are paid for once per group, not per caller.
 */
@Injectable()
export class Reservations {
  readonly #group = new Group((asks: Ask[]) => this.#settleAll(asks), { members: 128, batches: 2 });

  constructor(
    private readonly database: Database<PrismaClient>,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** Reserves every line or none, under an id that the caller chose. */
  reserve(id: string, lines: StockLine[], signal?: AbortSignal): Promise<Reservation> {
    return this.#ask({ kind: "reserve", id, lines }, signal);
  }

  /** Sells what a reservation holds. */
  commit(id: string, signal?: AbortSignal): Promise<Reservation> {
    return this.#ask({ kind: "commit", id }, signal);
  }

  /** Gives back what a reservation holds. */
  release(id: string, signal?: AbortSignal): Promise<Reservation> {
    return this.#ask({ kind: "release", id }, signal);
  }

  /** Lets some reservations whose time has run out expire, and tells how many: 0 when all have. */
  async expireDue(signal?: AbortSignal): Promise<number> {
    const now = this.settings.clock.now();
    return this.database.transaction(signal, async (tx) => {
      const due = await tx.query<{ id: string }>(LOCK_DUE, [now, SWEEP_BATCH]);
      const asks = due.map(({ id }): Ask => ({ kind: "expire", id }));
      await this.settle(tx, asks, now);
      return due.length;
    });
  }

  /**
   * Decides asks in their order within a transaction of the caller. Everybody locks in one order,
   * so that nobody waits in a circle: reservations by id, products by SKU, new reservations by id.
   */
  async settle(
    tx: Tx<PrismaClient>,
    asks: Ask[],
    now?: Date,
  ): Promise<(Reservation | ConnectError)[]> {
    const entries = await lockEntries(tx, asks);
    const known = new Set(entries.keys());
    const stock = new LockedStock();
    await stock.lock(tx, skusOf(asks, entries));
    const ledger: Ledger = {
      // asked only now, since the locks may have taken a while
      now: now ?? this.settings.clock.now(),
      ttlMs: this.settings.reservationTtlMs,
      stock,
      entries,
      changed: new Set(),
      events: [],
    };
    const answers = asks.map((ask) => decide(ask, ledger));
    await stock.save(tx);
    await saveEntries(tx, ledger, known);
    for (const event of ledger.events) tx.emit(event);
    return answers;
  }

  async #ask(ask: Ask, signal?: AbortSignal): Promise<Reservation> {
    const answer = await this.#group.ask(ask, signal);
    if (answer instanceof ConnectError) throw answer;
    return answer;
  }

  async #settleAll(asks: Ask[]): Promise<(Reservation | ConnectError)[]> {
    const settle = () =>
      this.database.transaction(undefined, (tx) => this.settle(tx, asks), {
        timeoutMs: LONGEST_MS,
      });
    try {
      return await settle();
    } catch (error) {
      // asked again, an id answers what it stands for, so doing all of it twice does no harm
      if (error instanceof Overtaken || error instanceof CommitUnknownError) return settle();
      throw error;
    }
  }
}

async function lockEntries(tx: Tx<PrismaClient>, asks: Ask[]): Promise<Map<string, Entry>> {
  const ids = asks.map(({ id }) => id);
  const rows = await tx.query<ReservationRow>(LOCK, [ids]);
  return new Map(rows.map((row) => [row.id, toEntry(row)]));
}

/** The products whose level can change: what is asked for, and what is held. */
function* skusOf(asks: Ask[], entries: Map<string, Entry>): Generator<string> {
  for (const { id, lines = [] } of asks) if (!entries.has(id)) yield* lines.map(({ sku }) => sku);
  for (const { reservation } of entries.values())
    if (reservation.state === ReservationState.HELD) yield* reservation.lines.map(({ sku }) => sku);
}

async function saveEntries(
  tx: Tx<PrismaClient>,
  { changed, entries }: Ledger,
  known: Set<string>,
): Promise<void> {
  if (changed.size === 0) return;
  const rows = [...changed].map((id) => toRow(entries.get(id) as Entry));
  const made = rows.filter(({ id }) => !known.has(id));
  const ended = rows.filter(({ id }) => known.has(id));
  const saved = await tx.query(SAVE, [
    JSON.stringify(made),
    ended.map(({ id }) => id),
    ended.map(({ state }) => state),
  ]);
  if (saved.length !== made.length) throw new Overtaken("An id was taken meanwhile");
}

function toEntry({ id, shortages, expireTime, ...row }: ReservationRow): Entry {
  const reservation = create(ReservationSchema, {
    reservationId: id,
    state: ReservationState[row.state],
    lines: row.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
    createTime: timestampFromDate(row.createTime),
    expireTime: expireTime ? timestampFromDate(expireTime) : undefined,
  });
  return { reservation, shortages };
}

function toRow({ reservation, shortages }: Entry): ReservationRow {
  const { reservationId, state, lines, createTime, expireTime } = reservation;
  if (!createTime) throw new Error(`Reservation ${reservationId} has no create time`);
  return {
    id: reservationId,
    state: ReservationState[state] as StateColumn,
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity: Number(quantity) })),
    shortages,
    createTime: timestampDate(createTime),
    expireTime: expireTime ? timestampDate(expireTime) : null,
  };
}
