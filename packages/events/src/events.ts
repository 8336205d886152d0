import type { Database, PrismaClientLike, Tx } from "@emporium/database";
import { sweepAdvisories } from "./advisories.js";
import { Consumer } from "./consumer.js";
import { DeadLetters } from "./dead-letters.js";
import { EventMetrics } from "./event-metrics.js";
import type { AtFaultPoint } from "./fault-point.js";
import type { Feed } from "./feed.js";
import type { Handler } from "./handler.js";
import { Inbox } from "./inbox.js";
import { INBOX_RETENTION_MS, Intake, maxDeliveries } from "./intake.js";
import { Lanes } from "./lanes.js";
import { Link, type NatsOptions } from "./link.js";
import { silent, type Logger } from "./logger.js";
import { Names, type Source } from "./names.js";
import { Relay } from "./relay.js";
import { dropOldRows, pruneOutbox } from "./retention.js";
import { openFeed } from "./stream-follower.js";
import { ensureStreams, type StreamOptions } from "./streams.js";

/** Waits between the tries of an event, in milliseconds. */
const BACKOFF_MS: readonly number[] = [200, 1_000, 5_000, 15_000, 30_000];
const CONCURRENCY = 16;
const ACK_WAIT_MS = 10_000;
const OUTBOX_RETENTION_MS = 7 * 24 * 60 * 60_000;

export interface EventsOptions<Client extends PrismaClientLike> {
  /** Such as `nats://localhost:4222`. */
  servers: string | string[];
  /** Credentials and TLS. */
  nats?: NatsOptions;
  /** Before each subject and stream name, so that several shops can share a server. */
  prefix: string;
  /** The service that this is: it publishes events under this name. */
  source: Source;
  /** Its database, with the tables of `sql/outbox.sql`. */
  database: Database<Client>;
  logger?: Logger;
  stream?: StreamOptions;
  /** How long published rows stay in the outbox, in milliseconds; 7 days if not given. */
  outboxRetentionMs?: number;
  /** For tests of crashes; see `FaultPoint`. */
  atFaultPoint?: AtFaultPoint | undefined;
}

export interface ConsumeOptions<Client extends PrismaClientLike> {
  /** Durable name, unique among the service's consumers: lower-case letters, digits and -. */
  name: string;
  /** Whose events. */
  from: Source;
  /** Made with `on`; events of other types are taken in without an effect. */
  handlers: readonly Handler<Tx<Client>>[];
  /** Waits between tries, in milliseconds; 200, 1,000, 5,000, 15,000, 30,000 if not given. */
  backoffMs?: readonly number[];
  /** Events that are worked on at once, one for each aggregate; 16 if not given. */
  concurrency?: number;
  /** After this time, in milliseconds, an unanswered event is delivered again; 10,000 if not given. */
  ackWaitMs?: number;
}

/**
 * A service's events: its outbox on the way out, its consumers and feeds on the way in. It works
 * while NATS is away: rows wait in the outbox, consumers and feeds go on when it is back.
 * @example
 *     await using events = await Events.connect({
 *       servers: config.nats.servers, prefix: config.nats.prefix,
 *       source: "inventory", database, logger,
 *     });
 *     events.startRelay();
 *     await using restock = await events.consume({
 *       name: "restock", from: "orders",
 *       handlers: [on(OrderCancelledSchema, ({ order }, meta, tx) => stock.putBack(order!, meta, tx))],
 *     });
 */
export class Events<Client extends PrismaClientLike> implements AsyncDisposable {
  /** What consumers of any service could not take in. */
  readonly deadLetters: DeadLetters;
  readonly #options: EventsOptions<Client>;
  readonly #logger: Logger;
  readonly #metrics = new EventMetrics();
  readonly #names: Names;
  readonly #link: Link;
  readonly #closing = new AbortController();
  readonly #feeds = new Map<Source, [feed: Feed, ended: () => Promise<void>]>();
  readonly #running = new Set<Promise<void>>();
  #relaying = false;

  private constructor(options: EventsOptions<Client>, names: Names, link: Link) {
    this.#options = options;
    this.#logger = options.logger ?? silent;
    this.#names = names;
    this.#link = link;
    this.deadLetters = new DeadLetters(link, names);
  }

  /**
   * Resolves also while NATS is away and connects in the background; `ready` tells. Rejects with an
   * UnsupportedServerError for a server older than 2.10.23.
   */
  static async connect<Client extends PrismaClientLike>(
    options: EventsOptions<Client>,
  ): Promise<Events<Client>> {
    const { servers, nats, prefix, source, logger = silent, stream = {} } = options;
    const names = new Names(prefix);
    const link = await Link.open({
      servers,
      nats,
      name: source,
      logger,
      prepare: ({ management }) => ensureStreams(management, names, source, stream),
    });
    return new Events(options, names, link);
  }

  /** True while NATS is there, new enough, and has the streams. */
  ready(): boolean {
    return this.#link.session !== undefined;
  }

  /** Begins to publish what is in the outbox, now and after each commit. */
  startRelay(): void {
    if (this.#relaying) return;
    this.#relaying = true;
    const { database, source, stream = {} } = this.#options;
    const { outboxRetentionMs = OUTBOX_RETENTION_MS } = this.#options;
    const relay = new Relay({
      link: this.#link,
      names: this.#names,
      logger: this.#logger,
      metrics: this.#metrics,
      lanes: new Lanes(database),
      source,
      ensureStreams: (management) => ensureStreams(management, this.#names, source, stream),
      atFaultPoint: this.#atFaultPoint,
    });
    const kept = {
      retentionMs: outboxRetentionMs,
      database,
      prune: (below: string, signal: AbortSignal) =>
        pruneOutbox(database, { below, retentionMs: outboxRetentionMs, signal }),
    };
    void this.#run((signal) => dropOldRows(kept, this.#logger, signal));
    void this.#run(async (signal) => {
      using _commits = database.onCommit(() => relay.poke());
      using _observed = this.#metrics.observeOutbox(database);
      await relay.run(signal);
    });
  }

  /**
   * Takes events in until the result is disposed. The effect of each handler and the note that the
   * event was taken in are one transaction. Of each aggregate, versions come one by one in order. A
   * failed event is tried again with growing pauses while only its aggregate waits; after the last
   * try it and its followers become dead letters.
   */
  async consume(options: ConsumeOptions<Client>): Promise<AsyncDisposable> {
    const { name, from, handlers, backoffMs = BACKOFF_MS } = options;
    const { concurrency = CONCURRENCY, ackWaitMs = ACK_WAIT_MS } = options;
    if (!/^[a-z0-9-]{1,64}$/.test(name)) {
      throw new TypeError(`consumer name ${JSON.stringify(name)} is not 1 to 64 of a-z, 0-9 and -`);
    }
    const inbox = new Inbox(this.#options.database, `${from}:${name}`);
    const common = { link: this.#link, names: this.#names, logger: this.#logger, inbox };
    const intake = new Intake(
      { name, from, handlers, backoffMs, limitMs: ackWaitMs * 0.8 },
      {
        ...common,
        deadLetters: this.deadLetters,
        metrics: this.#metrics,
        atFaultPoint: this.#atFaultPoint,
      },
    );
    const consumer = new Consumer(
      { name, from, concurrency, ackWaitMs, maxDeliver: maxDeliveries(backoffMs) },
      { ...common, intake },
    );
    this.#metrics.noDeadLetters(this.#names.stream(from), name);
    const kept = {
      retentionMs: INBOX_RETENTION_MS,
      database: this.#options.database,
      prune: (below: string, signal: AbortSignal) => inbox.prune(below, signal),
    };
    const stopping = new AbortController();
    const ended = this.#run(async (closing) => {
      const signal = AbortSignal.any([closing, stopping.signal]);
      await Promise.all([
        consumer.run(signal),
        sweepAdvisories({ ...common, intake, name, from }, signal),
        dropOldRows(kept, this.#logger, signal),
      ]);
    });
    return {
      async [Symbol.asyncDispose]() {
        stopping.abort(new Error(`the consumer ${name} was stopped`));
        await ended;
      },
    };
  }

  /** The events of a source as they come, for `watch`; one subscription for the whole process. */
  feed(source: Source = this.#options.source): Feed {
    const known = this.#feeds.get(source);
    if (known) return known[0];
    const parts = { link: this.#link, names: this.#names, logger: this.#logger, source };
    const opened = openFeed(parts, this.#closing.signal);
    this.#feeds.set(source, opened);
    return opened[0];
  }

  /** Stops consumers and feeds, lets the relay mark what it has published, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("events were closed"));
    await Promise.all(this.#running);
    await Promise.all([...this.#feeds.values()].map(([, ended]) => ended()));
    await this.#link[Symbol.asyncDispose]();
  }

  #run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const running = work(this.#closing.signal).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  readonly #atFaultPoint: AtFaultPoint = (point) => this.#options.atFaultPoint?.(point);
}
