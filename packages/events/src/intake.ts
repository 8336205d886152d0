import type { PrismaClientLike, Tx } from "@emporium/database";
import type { JsMsg } from "@nats-io/jetstream";
import type { DeadLetters, DeadReason } from "./dead-letters.js";
import { delivered, type Delivery } from "./delivery.js";
import { MalformedEventError } from "./envelope.js";
import type { EventMetrics } from "./event-metrics.js";
import type { AtFaultPoint } from "./fault-point.js";
import { UnreadablePayloadError, type Handler } from "./handler.js";
import type { Inbox, Taken } from "./inbox.js";
import type { Session } from "./link.js";
import type { Logger } from "./logger.js";
import type { Names, Source } from "./names.js";
import { nextMessage } from "./streams.js";
import { processTraced } from "./tracing.js";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** So often an event waits, in growing steps, while its predecessor is tried to the last. */
const WAITS = 30;
/** So often it may take its process with it, or be near when another does. */
const DEATHS = 20;
const CONTENDED_MS = 50;
/** An event's id is kept for this long; an older event is told from a copy by its version alone. */
export const INBOX_RETENTION_MS = 14 * 24 * 60 * 60_000;

/** What the server is to hear about a message. */
export type Answer =
  | { kind: "done"; event: Delivery }
  | { kind: "buried" }
  | { kind: "again"; afterMs: number }
  /** Again after this time, unless its turn comes before. */
  | { kind: "early"; event: Delivery; afterMs: number };

export interface IntakeParts<Client extends PrismaClientLike> {
  inbox: Inbox<Client>;
  names: Names;
  deadLetters: DeadLetters;
  logger: Logger;
  metrics: EventMetrics;
  atFaultPoint: AtFaultPoint;
}

export interface IntakeOptions<Client extends PrismaClientLike> {
  name: string;
  from: Source;
  handlers: readonly Handler<Tx<Client>>[];
  /** Waits between tries, in milliseconds; the event is dead after the try that follows the last. */
  backoffMs: readonly number[];
  /** Longest time of one try, in milliseconds. */
  limitMs: number;
}

/** After so many deliveries the server gives a message up. Those for nothing are among them. */
export function maxDeliveries(backoffMs: readonly number[]): number {
  return backoffMs.length + 1 + WAITS + DEATHS;
}

/** Together the waits outlast all tries of a predecessor. */
function waitMs(deliveries: number, backoffMs: readonly number[]): number {
  const triesMs = backoffMs.reduce((sum, ms) => sum + ms, 0);
  const longestMs = Math.max(LONGEST_WAIT_MS, (2 * triesMs) / WAITS);
  return Math.min(FIRST_WAIT_MS * 2 ** (deliveries - 1), longestMs);
}

/**
 * Decides about one event at a time: take it in, try it again, let it wait, or make it a dead
 * letter. Rejects only for trouble that is neither the event's nor its handler's; then nothing was
 * counted.
 */
export class Intake<Client extends PrismaClientLike> {
  readonly #options: IntakeOptions<Client>;
  readonly #parts: IntakeParts<Client>;
  readonly #handlers: ReadonlyMap<string, Handler<Tx<Client>>>;

  constructor(options: IntakeOptions<Client>, parts: IntakeParts<Client>) {
    this.#options = options;
    this.#parts = parts;
    this.#handlers = new Map(options.handlers.map((handler) => [handler.type, handler]));
  }

  async receive(message: JsMsg, session: Session, signal: AbortSignal): Promise<Answer> {
    let event: Delivery;
    try {
      event = delivered(message);
    } catch (error) {
      if (error instanceof MalformedEventError) return this.#buryUnread(message, error);
      throw error;
    }
    const { names, metrics } = this.#parts;
    const by = { stream: names.stream(this.#options.from), consumer: this.#options.name };
    const startedAt = performance.now();
    const answer = await processTraced(event, by, () => this.#receive(event, session, signal));
    metrics.processed(event, { ...by, outcome: answer.kind, startedAt });
    return answer;
  }

  async #receive(event: Delivery, session: Session, signal: AbortSignal): Promise<Answer> {
    await this.#parts.atFaultPoint("consumer.received");
    let taken: Taken;
    try {
      taken = await this.#take(event, false, signal);
      if (taken.outcome === "early" && taken.first && (await this.#opens(event, session, signal))) {
        taken = await this.#take(event, true, signal);
      }
    } catch (error) {
      if (signal.aborted) throw error;
      return this.#failed(event, error, signal);
    }
    return this.#answer(event, taken, signal);
  }

  /**
   * Makes the event a dead letter. First its failure is noted: its followers find it there and go
   * the same way. What dies between the two does both again.
   */
  async bury(
    event: Delivery,
    reason: DeadReason,
    error: string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { inbox, deadLetters, logger, atFaultPoint } = this.#parts;
    const attempts = await inbox.bury(event, error, signal);
    const key = this.#letterKey(event.id);
    const { payload, subject, rawHeaders: headers } = event;
    const time = new Date();
    await deadLetters.write({ ...key, reason, error, attempts, time, payload, subject, headers });
    this.#count(reason);
    logger.error({ ...key, reason, error, attempts }, "An event became a dead letter");
    await atFaultPoint("consumer.buried");
    return { kind: "buried" };
  }

  #take(event: Delivery, start: boolean, signal: AbortSignal): Promise<Taken> {
    const handler = event.skipped ? undefined : this.#handlers.get(event.type);
    const effect = handler?.read(event.payload, event);
    const { limitMs } = this.#options;
    return this.#parts.inbox.take(event, effect, { start, signal, limitMs });
  }

  async #answer(event: Delivery, taken: Taken, signal: AbortSignal): Promise<Answer> {
    const { atFaultPoint, deadLetters } = this.#parts;
    switch (taken.outcome) {
      case "applied":
        await atFaultPoint("consumer.applied");
        if (event.redriven || taken.revived) await deadLetters.remove(this.#letterKey(event.id));
        return { kind: "done", event };
      case "duplicate":
        if (event.redriven) await deadLetters.remove(this.#letterKey(event.id));
        return { kind: "done", event };
      case "contended":
        return { kind: "again", afterMs: CONTENDED_MS };
      case "conflict":
        if (this.#parts.inbox.now().getTime() - event.time.getTime() > INBOX_RETENTION_MS)
          return { kind: "done", event };
        return this.bury(event, "VERSION_CONFLICT", "its version was taken in before", signal);
      case "early":
        return this.#early(event, signal);
    }
  }

  /** Lets it wait for the versions before, unless they are dead letters and it has to follow them. */
  async #early(event: Delivery, signal: AbortSignal): Promise<Answer> {
    if (!event.redriven && (await this.#parts.inbox.deadBefore(event, signal))) {
      return this.bury(event, "PREDECESSOR_FAILED", "an earlier event is a dead letter", signal);
    }
    const { backoffMs } = this.#options;
    if (event.deliveries >= maxDeliveries(backoffMs)) {
      return this.bury(event, "PREDECESSOR_MISSING", "an earlier event never came", signal);
    }
    return { kind: "early", event, afterMs: waitMs(event.deliveries, backoffMs) };
  }

  /**
   * True if the stream holds no earlier version and none is a dead letter: what came before was
   * dropped before this consumer was made.
   */
  async #opens(event: Delivery, { management }: Session, signal: AbortSignal): Promise<boolean> {
    const { names, inbox } = this.#parts;
    const { from } = this.#options;
    if (await inbox.deadBefore(event, signal)) return false;
    const next_by_subj = names.events(from, event.aggregateId);
    for (let seq = 1; ;) {
      const stored = await nextMessage(management, names.stream(from), { seq, next_by_subj });
      if (!stored || stored.seq >= event.sequence) return true;
      const { aggregateType, version } = delivered(stored);
      if (aggregateType === event.aggregateType && version < event.version) return false;
      seq = stored.seq + 1;
    }
  }

  async #failed(event: Delivery, cause: unknown, signal: AbortSignal): Promise<Answer> {
    const { inbox, logger } = this.#parts;
    const { name: consumer, from: source, backoffMs } = this.#options;
    const error = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    const attempts = await inbox.fail(event, error, signal);
    if (cause instanceof UnreadablePayloadError) {
      return this.bury(event, "UNREADABLE", error, signal);
    }
    const afterMs = backoffMs[attempts - 1];
    if (afterMs === undefined || event.deliveries >= maxDeliveries(backoffMs)) {
      return this.bury(event, "HANDLER_FAILED", error, signal);
    }
    logger.warn(
      { err: cause, source, consumer, event_id: event.id, attempts, retry_ms: afterMs },
      "An event was not taken in; it is tried again",
    );
    return { kind: "again", afterMs };
  }

  async #buryUnread(message: JsMsg, error: Error): Promise<Answer> {
    const { deadLetters, logger } = this.#parts;
    const { data: payload, subject, headers, seq } = message;
    const key = this.#letterKey(`seq-${seq}`);
    const why = { reason: "UNREADABLE", error: error.message, attempts: 0 } as const;
    await deadLetters.write({ ...key, ...why, time: new Date(), payload, subject, headers });
    this.#count(why.reason);
    logger.error({ ...key, err: error }, "A message that is no event became a dead letter");
    return { kind: "buried" };
  }

  #count(reason: DeadReason): void {
    const { metrics, names } = this.#parts;
    metrics.deadLetter(names.stream(this.#options.from), this.#options.name, reason);
  }

  #letterKey(eventId: string) {
    return { source: this.#options.from, consumer: this.#options.name, eventId };
  }
}
