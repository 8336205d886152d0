import { type BatchObservableResult, metrics } from "@opentelemetry/api";
import { DatabaseError, Pool, type PoolClient } from "pg";
import { Connection, type Lender } from "./connection.js";
import { timedOut, unlessAborted } from "./cutoff.js";
import { DatabaseClock, POSTGRES_MS } from "./database-clock.js";
import { StatementNames } from "./statement.js";

const CONNECT_LIMIT_MS = 5_000;
const CONTROL_LIMIT_MS = 2_000;
const IDLE_MS = 60_000;

export interface ConnectionsOptions {
  url: string;
  applicationName: string;
  size: number;
  statementLimitMs: number;
  onError: (error: Error) => void;
}

interface TimeRow {
  postgresMs: number;
}

interface Waiter {
  resolve: () => void;
  reject: (reason: unknown) => void;
}

/**
 * The pool, with a queue of its own in front of node-postgres': a caller who gives up leaves the
 * queue at once, and every holder can be stopped. One more connection, the control connection,
 * carries cancel requests and health checks past a full pool.
 */
export class Connections implements Lender {
  readonly names = new StatementNames();
  readonly clock = new DatabaseClock();
  readonly statementLimitMs: number;
  readonly #pool: Pool;
  readonly #control: Pool;
  readonly #held = new Set<Connection>();
  readonly #waiting = new Set<Waiter>();
  #free: number;
  readonly #unobserve: () => void;
  #closed: Error | undefined;

  constructor(options: ConnectionsOptions) {
    this.statementLimitMs = options.statementLimitMs;
    this.#free = options.size;
    this.#pool = new Pool({
      connectionString: options.url,
      application_name: options.applicationName,
      max: options.size,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      idleTimeoutMillis: IDLE_MS,
      keepAlive: true,
      statement_timeout: options.statementLimitMs,
      verify: (client: PoolClient, done: (error?: Error) => void) =>
        prepare(client, this.clock, done),
    });
    // One connection that opens when needed, opens again when lost, and never waits for long.
    this.#control = new Pool({
      connectionString: options.url,
      application_name: `${options.applicationName} control`,
      max: 1,
      connectionTimeoutMillis: CONTROL_LIMIT_MS,
      idleTimeoutMillis: 0,
      keepAlive: true,
      query_timeout: CONTROL_LIMIT_MS,
    });
    this.#unobserve = this.#observe(options);
    this.#pool.on("error", options.onError);
    this.#control.on("error", options.onError);
  }

  /**
   * A connection for the caller alone, in order of asking. Stops with the signal until it is
   * released. Rejects with the signal's reason, or with a TimeoutError when none was free within
   * the longest time of a statement.
   */
  async take(signal: AbortSignal | undefined): Promise<Connection> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed;
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    const connecting = this.#pool.connect();
    try {
      const client = await unlessAborted(signal, connecting);
      const connection = new Connection(client, this, signal);
      this.#held.add(connection);
      if (this.#closed) connection.halt(this.#closed);
      return connection;
    } catch (error) {
      connecting
        .then(
          (client) => client.release(),
          () => undefined,
        )
        .finally(() => this.#next());
      throw error;
    }
  }

  takeBack(connection: Connection, error: Error | undefined): void {
    this.#held.delete(connection);
    connection.client.release(error);
    this.#next();
  }

  async cancel(backendPid: number): Promise<void> {
    await this.#control.query("SELECT pg_cancel_backend($1)", [backendPid]);
  }

  async ping(): Promise<void> {
    const sentMs = performance.now();
    const { rows } = await this.#control.query<TimeRow>(`SELECT ${POSTGRES_MS}`);
    for (const { postgresMs } of rows) this.clock.learn(postgresMs, sentMs);
  }

  /** Stops whoever holds or waits for a connection, and closes them all. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = new Error("the database was closed");
    this.#unobserve();
    for (const waiter of this.#waiting) waiter.reject(this.#closed);
    for (const connection of this.#held) connection.halt(this.#closed);
    await this.#pool.end();
    await this.#control.end();
  }

  /** https://opentelemetry.io/docs/specs/semconv/database/database-metrics/ */
  #observe({ applicationName, size }: ConnectionsOptions): () => void {
    const meter = metrics.getMeter("@emporium/database");
    const pool = { "db.client.connection.pool.name": applicationName };
    const of = (name: string, unit: string) => meter.createObservableUpDownCounter(name, { unit });
    const used = of("db.client.connection.count", "{connection}");
    const most = of("db.client.connection.max", "{connection}");
    const waiting = of("db.client.connection.pending_requests", "{request}");
    const look = (result: BatchObservableResult): void => {
      const state = { ...pool, "db.client.connection.state": "used" };
      result.observe(used, size - this.#free, state);
      result.observe(most, size, pool);
      result.observe(waiting, this.#waiting.size, pool);
    };
    meter.addBatchObservableCallback(look, [used, most, waiting]);
    return () => meter.removeBatchObservableCallback(look, [used, most, waiting]);
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { resolve, reject };
    const leave = (reason: unknown): void => {
      this.#waiting.delete(waiter);
      reject(reason);
    };
    const onAbort = (): void => leave(signal?.reason);
    const limitMs = this.statementLimitMs;
    const onTimeout = (): void => leave(timedOut(`no connection was free within ${limitMs} ms`));
    const timer = setTimeout(onTimeout, limitMs);
    signal?.addEventListener("abort", onAbort);
    this.#waiting.add(waiter);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #next(): void {
    const [waiter] = this.#waiting;
    if (!waiter) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(waiter);
    waiter.resolve();
  }
}

/**
 * What each new connection is told. UTC: the Prisma adapter takes whatever time it reads for UTC,
 * and a Postgres set up on a laptop speaks local time. No sequential scans where an index will do: a
 * prepared statement keeps the plan of the moment in which it was made, and while a table is new and
 * small that is to read all of it, until autovacuum has counted its rows. And to look each second whether this
 * process is still there, so that a killed one does not keep its locks until its statement ends;
 * a server on Windows cannot, and refuses that.
 */
function prepare(client: PoolClient, clock: DatabaseClock, done: (error?: Error) => void): void {
  const sentMs = performance.now();
  client
    .query(
      "SET TIME ZONE 'UTC'; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan",
    )
    .then(() => client.query<TimeRow>(`SELECT ${POSTGRES_MS}`))
    .then(({ rows }) => {
      for (const { postgresMs } of rows) clock.learn(postgresMs, sentMs);
      return client.query("SET client_connection_check_interval = 1000");
    })
    .then(
      () => done(),
      (error: Error) => done(error instanceof DatabaseError ? undefined : error),
    );
}
