import { ConnectError } from "@connectrpc/connect";
import type { Reservation, StockLine } from "@emporium/contracts/inventory/v1";
import { CommitUnknownError, Database, sqlStateOf, type Tx } from "@emporium/database";
import { Inject, Injectable } from "@nestjs/common";
import { context } from "@opentelemetry/api";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient, ReservationState } from "./generated/prisma/client.js";
import { Group } from "./group.js";
import { Remembered, skusOf } from "./remembered.js";
import { type Ask, decide, type Entry, type Ledger } from "./reservation-outcomes.js";
import {
  LOCK,
  type ReservationRow,
  stateOf,
  toEntry,
  WRITE,
  writeValues,
} from "./reservation-rows.js";
import { Stock } from "./stock.js";

/** Reservations that one pass of the sweep lets expire; few, since their products stay locked. */
const SWEEP_BATCH = 50;

/** Longest that one transaction may take: as long as the contract lets any of its calls take. */
const LONGEST_MS = 10_000;

/** How long locks come first after others were found to write the same rows, in milliseconds. */
const LOCKS_FIRST_MS = 100;

/** Who finds a row locked leaves it to whoever holds it. */
const LOCK_DUE = `
  SELECT id FROM reservation WHERE state = 'HELD' AND expire_time <= $1::timestamptz
  ORDER BY expire_time LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED`;

/** unique_violation: somebody made the same reservation at the same time. */
const TAKEN = "23505";

/** serialization_failure: somebody else has written what a draft rests on. */
const NOT_AS_KNOWN = "40001";

type Answer = Reservation | ConnectError;

/** A group that is decided and not written yet. */
interface Draft {
  answers: Answer[];
  ledger: Ledger;
  /** Of `Remembered`, when it was made. */
  mistakes: number;
  values: unknown[];
}

/**
 * Stock that is promised. Whatever is asked at one time is decided together, first come first
 * served, in memory, and written by one statement: on a product that everybody wants, the round trip,
 * the lock and the commit are paid for once per group, not per caller. A group is decided on what
 * this process remembers, so the next one need not wait until it is written; what has nothing in
 * common is written at the same time. Where others have written meanwhile, the statement fails, and
 * the group is decided again under locks.
 */
@Injectable()
export class Reservations {
  readonly #remembered = new Remembered();
  readonly #group = new Group((asks: Ask[], before) => this.#settleAll(asks, before), {
    members: 128,
    batches: 2,
    keysOf: (ask) => this.#remembered.keysOf(ask),
  });
  #drafted: Promise<unknown> = Promise.resolve();
  /** Until when others are taken to write the same rows, so that locks come first. */
  #lockUntilMs = 0;

  constructor(
    private readonly database: Database<PrismaClient>,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** Reserves every line or none, under an id that the caller chose. */
  reserve(id: string, lines: StockLine[], signal?: AbortSignal): Promise<Reservation> {
    return this.#ask({ kind: "reserve", id, lines, trace: context.active() }, signal);
  }

  /** Sells what a reservation holds. */
  commit(id: string, signal?: AbortSignal): Promise<Reservation> {
    return this.#ask({ kind: "commit", id, trace: context.active() }, signal);
  }

  /** Gives back what a reservation holds. */
  release(id: string, signal?: AbortSignal): Promise<Reservation> {
    return this.#ask({ kind: "release", id, trace: context.active() }, signal);
  }

  /** Lets some reservations whose time has run out expire, and tells how many: 0 when all have. */
  async expireDue(signal?: AbortSignal): Promise<number> {
    return this.database.transaction(signal, async (tx) => {
      const now = this.settings.clock.now();
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
  async settle(tx: Tx<PrismaClient>, asks: Ask[], now?: Date): Promise<Answer[]> {
    const { answers } = await this.#settleIn(tx, asks, now);
    return answers;
  }

  async #settleIn(tx: Tx<PrismaClient>, asks: Ask[], now?: Date) {
    const rows = await tx.query<ReservationRow>(LOCK, [asks.map(({ id }) => id)]);
    const entries = new Map(rows.map((row) => [row.id, toEntry(row)]));
    const known = statesOf(entries);
    const stock = new Stock();
    await stock.lock(tx, skusOf(asks, entries));
    // asked only now, since the locks may have taken a while
    const ledger = this.#ledger({ stock, entries }, now);
    const answers = decideAll(asks, ledger);
    if (ledger.changed.size > 0) {
      await tx.query(WRITE, writeValues(ledger, known, []));
      for (const event of ledger.events) tx.emit(event);
    }
    return { answers, ledger };
  }

  async #ask(ask: Ask, signal?: AbortSignal): Promise<Reservation> {
    const answer = await this.#group.ask(ask, signal);
    if (answer instanceof ConnectError) throw answer;
    return answer;
  }

  /** A group is drafted on the outcome of the one before, and written after those it rests on. */
  async #settleAll(asks: Ask[], before: Promise<unknown> | undefined): Promise<Answer[]> {
    const drafted = this.#drafted.then(() => this.#draft(asks));
    this.#drafted = drafted.catch(() => undefined);
    await before;
    return this.#write(asks, await drafted);
  }

  /** Decides a group on what is remembered; `undefined` where that is better done under locks. */
  async #draft(asks: Ask[]): Promise<Draft | undefined> {
    if (performance.now() < this.#lockUntilMs) return undefined;
    const { mistakes } = this.#remembered;
    const recalled = await this.#remembered.recall(this.database, asks);
    if (!recalled) return undefined;
    const known = statesOf(recalled.entries);
    const ledger = this.#ledger(recalled);
    try {
      const answers = decideAll(asks, ledger);
      this.#remembered.keep(ledger);
      return { answers, ledger, mistakes, values: writeValues(ledger, known, ledger.events) };
    } catch {
      // What is remembered does not fit together: of a level and what it holds, one was older.
      this.#remembered.forget(ledger);
      return undefined;
    }
  }

  async #write(asks: Ask[], drafted: Draft | undefined): Promise<Answer[]> {
    // a draft that was made on a wrong one is made again
    const stale = drafted && drafted.mistakes !== this.#remembered.mistakes;
    if (stale) this.#remembered.forget(drafted.ledger);
    const draft = stale ? await this.#draft(asks) : drafted;
    if (draft && (await this.#writeDraft(draft))) return draft.answers;
    try {
      return await this.#settleUnderLocks(asks);
    } catch (error) {
      // asked again, an id answers what it stands for, so doing all of it twice does no harm
      if (sqlStateOf(error) === TAKEN || error instanceof CommitUnknownError)
        return this.#settleUnderLocks(asks);
      throw error;
    }
  }

  /** False where nothing was written, or where that is not known. */
  async #writeDraft({ ledger, values }: Draft): Promise<boolean> {
    try {
      await this.database.query(AbortSignal.timeout(LONGEST_MS), WRITE, values);
      if (ledger.events.length > 0) this.database.committed();
      return true;
    } catch (error) {
      // Anything else will be told under locks, if it is still so.
      if (sqlStateOf(error) === NOT_AS_KNOWN)
        this.#lockUntilMs = performance.now() + LOCKS_FIRST_MS;
      this.#remembered.forget(ledger);
      return false;
    }
  }

  async #settleUnderLocks(asks: Ask[]): Promise<Answer[]> {
    const { answers, ledger } = await this.database.transaction(
      undefined,
      (tx) => this.#settleIn(tx, asks),
      { timeoutMs: LONGEST_MS },
    );
    this.#remembered.keep(ledger);
    return answers;
  }

  #ledger(known: Pick<Ledger, "stock" | "entries">, now = this.settings.clock.now()): Ledger {
    return {
      ...known,
      now,
      ttlMs: this.settings.reservationTtlMs,
      changed: new Set(),
      events: [],
    };
  }
}

function statesOf(entries: Map<string, Entry>): Map<string, ReservationState> {
  return new Map([...entries].map(([id, entry]) => [id, stateOf(entry)]));
}

function decideAll(asks: Ask[], ledger: Ledger): Answer[] {
  return asks.map((ask) => context.with(ask.trace ?? context.active(), () => decide(ask, ledger)));
}
