import type { Database } from "@emporium/database";
import type { Clock, Logger } from "@emporium/runtime";
import { eventsAfter, findCheckout } from "./checkouts.js";
import type { CheckoutRow } from "./checkout-row.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { untilKnown } from "./patience.js";
import type { Refusal } from "./refusals.js";
import type { StepKind } from "./checkout-row.js";

/** Somebody else drives the checkout now. Whoever sees this stops, and has changed nothing. */
export class LeaseLost extends Error {
  override name = "LeaseLost";

  constructor(checkoutId: string) {
    super(`${checkoutId} was taken over`);
  }
}

/** A step waits at most so many times as long as a quick checkout's. */
const LONGEST_LINGER = 5;

type Change = Partial<Pick<CheckoutRow, "state" | "refusal" | "endTime">>;

/** What a journal needs of the process that writes it. */
export interface JournalOptions {
  database: Database<PrismaClient>;
  clock: Clock;
  log: Logger;
  /** How long each write renews the lease. */
  leaseMs: number;
  /** How long a step may wait at first to be written together with the next. */
  lingerMs: number;
  /** Fires when the checkout is no longer driven. */
  signal: AbortSignal;
  /** Told when a write in the background found that the lease is lost. */
  onLeaseLost: (error: LeaseLost) => void;
}

/**
 * The row of one checkout, for as long as its lease lasts; all that a saga writes goes through here,
 * and counts only where the row still has the fence it was read with.
 *
 * Recovery needs two commits: the row before any effect, and how it ended. A third, the decision to
 * turn back, is written before anything is undone. The steps between them are for those who watch,
 * so they wait a moment (`lingerMs`, or longer where the checkout has taken longer) for the next one:
 * a checkout that is quick writes all of them with its end, one that is slow tells each at most that
 * moment late. A step that was not written
 * when its process died was seen by nobody, so the timeline has no gap: whoever takes over does it
 * again and writes it then.
 */
export class Journal implements Disposable {
  readonly #openedMs = performance.now();
  #written: number;
  /** What changes besides the steps; the checkout has it once it is written. */
  #change: Change = {};
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly checkout: CheckoutRow,
    private readonly options: JournalOptions,
  ) {
    this.#written = checkout.steps.length;
  }

  /** Something happened. Told once: what happened before a takeover is not told again. */
  did(kind: StepKind, detail?: string): void {
    if (this.checkout.steps.some((step) => step.kind === kind) && kind !== "TAKEN_OVER") return;
    this.#append(kind, detail);
    this.#timer ??= setTimeout(() => this.#writeSoon(), this.#lingerMs());
  }

  /** The saga turns back: written before anything is undone, so that two never go both ways. */
  async turnBack(refusal: Refusal): Promise<void> {
    if (this.checkout.refusal) return;
    this.#append("COMPENSATING", refusal.message);
    await this.#write({ refusal });
  }

  /** It is bought. */
  async complete(): Promise<void> {
    await this.#end("COMPLETED", {});
  }

  /** It is refused. */
  async refuse(refusal: Refusal): Promise<void> {
    await this.#end("REFUSED", { refusal });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  /**
   * A step may wait as long as the checkout has taken so far. Where the machine is overloaded and
   * every step is slow, the writes between the first and the last would else double the load.
   */
  #lingerMs(): number {
    const { lingerMs } = this.options;
    const soFarMs = performance.now() - this.#openedMs;
    return Math.min(Math.max(lingerMs, soFarMs), LONGEST_LINGER * lingerMs);
  }

  #append(kind: StepKind, detail?: string): string {
    const { steps } = this.checkout;
    const now = this.options.clock.now().toISOString();
    // Clocks of two replicas may differ; a timeline does not run backwards.
    const last = steps.at(-1)?.time ?? now;
    const time = now > last ? now : last;
    steps.push({ kind, time, ...(detail && { detail }) });
    return time;
  }

  #writeSoon(): void {
    this.#write({}).catch((error: unknown) => {
      if (error instanceof LeaseLost) this.options.onLeaseLost(error);
    });
  }

  #end(state: "COMPLETED" | "REFUSED", change: Change): Promise<void> {
    const endTime = new Date(this.#append(state, change.refusal?.message));
    return this.#write({ ...change, state, endTime });
  }

  /** Writes all steps that are not written yet, with what changes; one write after the other. */
  #write(change: Change): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    Object.assign(this.#change, change);
    const { signal, log } = this.options;
    const tell = (error: unknown) => log.warn({ err: error }, "A checkout could not be written");
    const written = this.#writing.then(() =>
      untilKnown({ signal, isAnswer: isLeaseLost, tell }, () => this.#writeNow()),
    );
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #writeNow(): Promise<void> {
    const { database, leaseMs, signal } = this.options;
    const change = { ...this.#change };
    const checkout = { ...this.checkout, ...change };
    const total = checkout.steps.length;
    const steps = checkout.steps.slice(this.#written);
    if (steps.length === 0) return;
    const events = eventsAfter(this.#written, checkout);
    const rows = await database.query(signal, ADVANCE, [
      checkout.checkoutId,
      checkout.fence,
      this.#written,
      JSON.stringify(steps),
      checkout.state,
      checkout.refusal && JSON.stringify(checkout.refusal),
      checkout.endTime,
      leaseMs,
      events[0]?.aggregateType,
      events[0]?.type,
      events.map(({ id }) => id),
      events.map(({ version }) => version),
      events.map(({ payload }) => payload),
      JSON.stringify(events[0]?.headers ?? {}),
    ]);
    if (rows.length === 0) return this.#lookAgain();
    this.#written = total;
    Object.assign(this.checkout, change);
    database.committed();
  }

  /** Nothing was written: it was written before, and the answer got lost, or the lease is lost. */
  async #lookAgain(): Promise<void> {
    const { database, signal } = this.options;
    const { checkoutId, fence } = this.checkout;
    const now = await findCheckout(database, checkoutId, signal);
    if (now?.fence !== fence || now.steps.length <= this.#written) throw new LeaseLost(checkoutId);
    this.#written = now.steps.length;
    const { state, refusal, endTime } = now;
    Object.assign(this.checkout, { state, refusal, endTime });
    database.committed();
    return this.#writeNow();
  }
}

function isLeaseLost(error: unknown): boolean {
  return error instanceof LeaseLost;
}

/**
 * Not Prisma: the row, its steps and their events are written in one statement, where the row still
 * has the fence and as many steps as it is known to have. So a process that lost its lease changes
 * nothing, and writing again what was written before changes nothing either.
 */
const ADVANCE = `
  WITH advanced AS (
    UPDATE checkouts
    SET steps = steps || $4::jsonb,
        state = $5::checkout_state,
        refusal = $6::jsonb,
        end_time = $7,
        shipping_address = CASE $5::checkout_state WHEN 'RUNNING' THEN shipping_address END,
        lease_until = now() + $8 * interval '1 millisecond'
    WHERE checkout_id = $1 AND fence = $2 AND state = 'RUNNING' AND jsonb_array_length(steps) = $3
    RETURNING checkout_id
  )
  INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload, headers)
  SELECT event.id, $9, checkout_id, event.version, $10, event.payload, $14
  FROM advanced, unnest($11::uuid[], $12::bigint[], $13::bytea[]) AS event (id, version, payload)
  RETURNING aggregate_id`;
