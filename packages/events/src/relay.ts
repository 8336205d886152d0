import type { JetStreamManager } from "@nats-io/jetstream";
import { RequestError } from "@nats-io/nats-core";
import type { EventMetrics } from "./event-metrics.js";
import type { Link, Session } from "./link.js";
import {
  CLAIM_LIMITS,
  type Acknowledged,
  type Claim,
  type Lanes,
  type WaitingRow,
} from "./lanes.js";
import type { AtFaultPoint } from "./fault-point.js";
import type { Logger } from "./logger.js";
import type { Names, Source } from "./names.js";
import { toHeaders } from "./envelope.js";
import { pause, unlessAborted } from "./pause.js";
import { reconcile } from "./reconcile.js";
import { publishTraced } from "./tracing.js";

/** A pass starts no message after this, so that its last answer comes within the lease. */
const PASS_MS = 1_500;
const PUBLISH_LIMIT_MS = 2_000;
const POLL_MS = 1_000;
/** At most so many claims are under way; more only makes messages wait in the server instead. */
const PASSES = 4;
/** One claim after another begins no sooner than this, unless much waits: so it serves many commits. */
const SPACING_MS = 20;
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;

interface RelayParts {
  link: Link;
  lanes: Lanes;
  names: Names;
  source: Source;
  logger: Logger;
  metrics: EventMetrics;
  atFaultPoint: AtFaultPoint;
  ensureStreams: (management: JetStreamManager) => Promise<void>;
}

/**
 * Publishes what waits in the outbox. The rows of one aggregate go out one after the other in the
 * order of their versions, those of different aggregates side by side. Whoever gives lanes back
 * looks again for rows, so a row that was committed meanwhile is never left to the poll.
 */
export class Relay {
  readonly #parts: RelayParts;
  readonly #passes = new Set<Promise<void>>();
  /** Aggregates whose next row the stream refused, and until when they rest. */
  readonly #resting = new Map<string, { untilMs: number; restMs: number }>();
  #poked = Promise.withResolvers<void>();
  #trouble = false;
  #streamGone = false;

  constructor(parts: RelayParts) {
    this.#parts = parts;
  }

  /** Says that there may be work; cheap enough for every commit. */
  poke(): void {
    this.#poked.resolve();
  }

  /** Runs until the signal fires and the passes that are under way are marked. */
  async run(signal: AbortSignal): Promise<void> {
    const { link, logger } = this.#parts;
    while (!signal.aborted) {
      try {
        const session = await link.connected(signal);
        await this.#runSession(session, AbortSignal.any([signal, session.signal]));
      } catch (error) {
        if (signal.aborted) break;
        if (!this.#trouble) logger.error({ err: error }, "The relay has to wait");
        this.#trouble = true;
        await pause(RETRY_MS, signal);
      }
    }
  }

  async #runSession(session: Session, signal: AbortSignal): Promise<void> {
    const { lanes, names, source, logger, ensureStreams } = this.#parts;
    const { management } = session;
    if (this.#trouble) await ensureStreams(management);
    const stream = names.stream(source);
    const incarnation = await reconcile({ lanes, management, stream, logger }, signal);
    if (incarnation === undefined) return;
    this.#resting.clear();
    this.#streamGone = false;
    try {
      while (!signal.aborted) await this.#claimAndPublish(session, incarnation, signal);
    } finally {
      await Promise.all(this.#passes);
    }
  }

  async #claimAndPublish(
    session: Session,
    incarnation: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { lanes, logger, atFaultPoint } = this.#parts;
    if (this.#streamGone) throw new Error("no stream takes the events");
    this.#poked = Promise.withResolvers();
    const spaced = pause(SPACING_MS, signal);
    const { claims, rows } = await lanes.claim(this.#atRest(), signal);
    if (this.#trouble) logger.info({}, "The relay goes on");
    this.#trouble = false;
    if (claims.length === 0) {
      await this.#nextPoke(signal);
      return spaced;
    }
    await atFaultPoint("relay.claimed");
    const pass = this.#pass(session, incarnation, { claims, rows }).finally(() => {
      this.#passes.delete(pass);
      this.poke();
    });
    this.#passes.add(pass);
    if (this.#passes.size >= PASSES) await Promise.race(this.#passes);
    else if (claims.length < CLAIM_LIMITS.lanes) await spaced;
  }

  /** Publishes what was claimed and marks what was acknowledged; what failed stays as it was. */
  async #pass(
    session: Session,
    incarnation: string,
    { claims, rows }: { claims: Claim[]; rows: WaitingRow[] },
  ): Promise<void> {
    const { lanes, logger, atFaultPoint } = this.#parts;
    const endsAtMs = performance.now() + PASS_MS;
    const acknowledged: Acknowledged[] = [];
    const chains = Map.groupBy(
      rows,
      ({ aggregateType, aggregateId }) => `${aggregateType} ${aggregateId}`,
    );
    const publishChain = async (chain: WaitingRow[]): Promise<void> => {
      for (const row of chain) {
        if (session.signal.aborted || performance.now() > endsAtMs) return;
        acknowledged.push({ row, sequence: await this.#publish(session, row) });
      }
    };
    const endChain = async (chain: WaitingRow[]): Promise<void> => {
      try {
        await publishChain(chain);
        this.#resting.delete(chain[0]!.aggregateId);
      } catch (error) {
        this.#rest(chain[0]!, error, session);
      }
    };
    await Promise.all(Array.from(chains.values(), endChain));
    try {
      await atFaultPoint("relay.published");
      await lanes.mark(claims, incarnation, acknowledged);
    } catch (error) {
      // The lease runs out, and the rows are published again under the same ids.
      logger.error({ err: error, rows: acknowledged.length }, "Published events stay unmarked");
    }
  }

  async #publish({ client, signal }: Session, row: WaitingRow): Promise<number> {
    const { names, source, metrics } = this.#parts;
    const stream = names.stream(source);
    const event = { ...row, source: `/${names.prefix}/${source}`, time: row.createTime };
    const subject = names.event(source, row.type, row.aggregateId);
    try {
      const { seq } = await publishTraced(row, stream, (headers) => {
        const publishing = client.publish(subject, row.payload, {
          msgID: row.id,
          headers: toHeaders({ ...event, headers }),
          timeout: PUBLISH_LIMIT_MS,
          expect: { streamName: stream },
        });
        return unlessAborted(signal, publishing);
      });
      metrics.sent(stream);
      return seq;
    } catch (error) {
      if (!signal.aborted) metrics.sent(stream, error);
      throw error;
    }
  }

  #rest({ aggregateId, id }: WaitingRow, error: unknown, session: Session): void {
    if (session.signal.aborted) return;
    this.#streamGone ||= isUnanswered(error);
    const before = this.#resting.get(aggregateId)?.restMs ?? RETRY_MS / 2;
    const restMs = Math.min(before * 2, LONGEST_RETRY_MS);
    this.#resting.set(aggregateId, { untilMs: performance.now() + restMs, restMs });
    this.#parts.logger.error(
      { err: error, aggregate_id: aggregateId, event_id: id, retry_ms: restMs },
      "The stream did not take an event; its aggregate waits",
    );
  }

  #atRest(): string[] {
    const now = performance.now();
    return [...this.#resting].flatMap(([id, { untilMs }]) => (untilMs > now ? id : []));
  }

  async #nextPoke(signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const poked = unlessAborted(signal, this.#poked.promise).catch(() => undefined);
    await Promise.race([poked, pause(POLL_MS, enough.signal)]);
    enough.abort();
  }
}

/** True if nobody listens on the subject: the stream was deleted while the server stayed. */
function isUnanswered(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof RequestError && cause.isNoResponders();
}
