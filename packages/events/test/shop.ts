import { create } from "@bufbuild/protobuf";
import { jetstreamManager, type StreamAPI, type StreamInfo } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { StockChangedSchema } from "@emporium/contracts/inventory/v1";
import type { OutboxRow } from "@emporium/database";
import {
  Events,
  on,
  outboxEvent,
  type ConsumeOptions,
  type EventsOptions,
  type FaultPoint,
} from "../src/index.js";
import { TestNats } from "./nats.js";
import { openDatabase, TestPostgres, type TestDatabase } from "./postgres.js";
import type { PrismaClient } from "./generated/client.js";

export type TestEvents = Events<PrismaClient>;

/** Full numbers of the proof; short forms otherwise. */
export const FULL = process.env["EVENTS_FULL"] === "1";

/** For the tests that have both forms. */
export const LIMIT_MS = FULL ? 1_200_000 : 60_000;

/** Retries that fit into a test: three tries. */
export const BACKOFF_MS: readonly number[] = [20, 60];

let prefixes = 0;

/** A process that dies at its next fault point, or stops there for a while, when it is told to. */
export class Mortal {
  readonly #ended = Promise.withResolvers<never>();
  readonly #stops: { at: FaultPoint; ms: number }[] = [];
  #killed = false;
  /** How often it came to each point. */
  readonly passed: Partial<Record<FaultPoint, number>> = {};

  constructor() {
    this.#ended.promise.catch(() => undefined);
  }

  /** From here on it does nothing and gives nothing back, like a process that is gone. */
  kill(): void {
    this.#killed = true;
  }

  /** Kills it the next time it comes to this point. */
  dieAt(at: FaultPoint): void {
    this.stop(at, Infinity);
  }

  /** Stops it the next time it comes to this point. */
  stop(at: FaultPoint, ms: number): void {
    this.#stops.push({ at, ms });
  }

  /** Lets its remains be cleaned up. */
  bury(): void {
    this.#ended.reject(new Error("this process was killed"));
  }

  readonly atFaultPoint = async (point: FaultPoint): Promise<void> => {
    this.passed[point] = (this.passed[point] ?? 0) + 1;
    if (this.#killed) await this.#ended.promise;
    const index = this.#stops.findIndex(({ at }) => at === point);
    const [stop] = index < 0 ? [] : this.#stops.splice(index, 1);
    if (stop?.ms === Infinity) await this.#ended.promise;
    if (stop) await new Promise((resolve) => setTimeout(resolve, stop.ms));
  };
}

/** One shop's Postgres database and NATS prefix, with processes that come and go. */
export class TestShop implements AsyncDisposable {
  readonly prefix = `t${process.pid}-${(prefixes += 1)}`;
  readonly #open = new AsyncDisposableStack();

  private constructor(
    readonly nats: TestNats,
    readonly url: string,
    readonly database: TestDatabase,
  ) {
    this.#open.use(database);
  }

  static async open(postgres: TestPostgres, nats: TestNats): Promise<TestShop> {
    const url = await postgres.createDatabase();
    return new TestShop(nats, url, await openDatabase(url));
  }

  /** A process of the inventory service; ended with the shop, unless it was before. */
  async process(options: Partial<EventsOptions<PrismaClient>> = {}): Promise<TestEvents> {
    const events = await Events.connect({
      servers: this.nats.url,
      prefix: this.prefix,
      source: "inventory",
      database: this.database,
      ...options,
    });
    this.#open.use(events);
    return events;
  }

  /** A process with a database pool of its own that can be killed. */
  async mortal(
    options: Partial<EventsOptions<PrismaClient>> = {},
  ): Promise<TestEvents & { mortal: Mortal; crash(): Promise<void> }> {
    const mortal = new Mortal();
    const database = this.#open.use(await openDatabase(this.url, 4));
    const { atFaultPoint } = mortal;
    const events = await this.process({ database, atFaultPoint, ...options });
    this.#open.defer(() => mortal.bury());
    /** Dies at its next fault point, without a mark or an answer, and loses its connections. */
    const crash = async (): Promise<void> => {
      mortal.kill();
      mortal.bury();
      await events[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    };
    return Object.assign(events, { mortal, crash });
  }

  /** What the stream holds. */
  async stream(): Promise<StreamInfo> {
    return this.#withStreams((streams, name) => streams.info(name));
  }

  async deleteStream(): Promise<void> {
    await this.#withStreams((streams, name) => streams.delete(name));
  }

  async #withStreams<T>(work: (streams: StreamAPI, name: string) => Promise<T>): Promise<T> {
    const connection = await connect({ servers: this.nats.url });
    const { streams } = await jetstreamManager(connection);
    const result = await work(streams, `${this.prefix}_INVENTORY`.toUpperCase());
    await connection.close();
    return result;
  }

  /** Commits one event for each pair of aggregate and version, in one transaction. */
  async emit(...events: readonly (readonly [aggregateId: string, version: number])[]) {
    await this.database.transaction(undefined, async (tx) => {
      for (const [aggregateId, version] of events) tx.emit(stockChanged(aggregateId, version));
    });
  }

  /** What the handlers did, in the order of their commits. */
  effects(consumer = "effects") {
    return this.database.query<{ eventId: string; aggregateId: string; version: bigint }>(
      undefined,
      `SELECT event_id AS "eventId", aggregate_id AS "aggregateId", version FROM effect
       WHERE consumer = $1 ORDER BY nr`,
      [consumer],
    );
  }

  /** Each aggregate's versions in the order of their effects. */
  async versions(consumer = "effects"): Promise<Record<string, number[]>> {
    const effects = await this.effects(consumer);
    const grouped = Object.groupBy(effects, ({ aggregateId }) => aggregateId);
    return Object.fromEntries(
      Object.entries(grouped).map(([id, of]) => [id, of!.map(({ version }) => Number(version))]),
    );
  }

  async count(
    table: "effect" | "inbox_failure" | "outbox" | "outbox WHERE publish_time IS NULL",
  ): Promise<number> {
    const counted = await this.database.query<{ n: number }>(
      undefined,
      `SELECT count(*)::int AS n FROM ${table}`,
    );
    return counted[0]!.n;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
  }
}

export function stockChanged(aggregateId: string, version: number): OutboxRow {
  const message = create(StockChangedSchema, { referenceId: aggregateId });
  return outboxEvent(StockChangedSchema, { aggregateId, version, message });
}

/** A consumer whose effect is a row, unless `refuse` throws. */
export function effects(
  refuse: (aggregateId: string, version: bigint) => void = () => undefined,
  name = "effects",
): ConsumeOptions<PrismaClient> {
  return {
    name,
    from: "inventory",
    backoffMs: BACKOFF_MS,
    ackWaitMs: 2_000,
    handlers: [
      on(StockChangedSchema, async (message, meta, tx) => {
        await tx.query(
          "INSERT INTO effect (consumer, event_id, aggregate_id, version) VALUES ($1, $2, $3, $4)",
          [name, meta.id, message.referenceId, meta.version],
        );
        refuse(message.referenceId, meta.version);
      }),
    ],
  };
}

/** Resolves as soon as the condition holds; looks again each 20 ms, for 20 s or, in full, 10 min. */
export async function until(
  condition: () => Promise<boolean> | boolean,
  limitMs = FULL ? 600_000 : 20_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`it never came to ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
