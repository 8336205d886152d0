import { PrismaPg } from "@prisma/adapter-pg";
import type { SqlDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import { Connections } from "./connections.js";
import { Cutoff, unlessAborted } from "./cutoff.js";
import type { DatabaseClock } from "./database-clock.js";
import { PrismaPool } from "./prisma-pool.js";
import {
  runTransaction,
  type PrismaClientLike,
  type TransactionOptions,
  type Tx,
} from "./transaction.js";

const STATEMENT_LIMIT_MS = 30_000;

export interface DatabaseOptions<Client> {
  /** `postgres://user:password@host:port/name`; the database need not be up yet. */
  url: string;
  /** Makes the generated Prisma client: `(adapter) => new PrismaClient({ adapter })`. */
  client: (adapter: SqlDriverAdapterFactory) => Client;
  /** Shown in `pg_stat_activity`. */
  applicationName: string;
  /** Connections for statements, 10 if not given; one more is for cancel requests and health checks. */
  poolSize?: number;
  /** Longest time of any statement, in milliseconds; 30,000 if not given. */
  statementLimitMs?: number;
  /** A first listener as if by `onCommit`. */
  onCommit?: () => void;
  /** Told of what no caller can be told: lost idle connections, failing listeners. */
  onError?: (error: Error) => void;
}

/**
 * One service's database: a Prisma client and hot SQL over one pool, where every wait and every
 * statement ends with the caller's signal. Errors are Prisma's or node-postgres' own
 * (`sqlStateOf` reads both), the signal's reason for aborted work, or `CommitUnknownError`.
 * @example
 *     await using database = await Database.open({
 *       url: config.databaseUrl,
 *       client: (adapter) => new PrismaClient({ adapter }),
 *       applicationName: "inventory",
 *     });
 */
export class Database<Client extends PrismaClientLike> implements AsyncDisposable {
  /**
   * Ordinary queries. They share the pool and end after `statementLimitMs`, but follow no signal:
   * Prisma takes none (https://github.com/prisma/orm/issues/15594). What should stop with a call
   * goes through `query` or `transaction`.
   */
  readonly prisma: Client;
  readonly #options: DatabaseOptions<Client>;
  readonly #connections: Connections;
  readonly #pool: PrismaPool;
  readonly #onCommit = new Set<() => void>();

  private constructor(options: DatabaseOptions<Client>) {
    const { url, applicationName } = options;
    this.#options = options;
    this.#connections = new Connections({
      url,
      applicationName,
      size: options.poolSize ?? 10,
      statementLimitMs: options.statementLimitMs ?? STATEMENT_LIMIT_MS,
      onError: this.#report,
    });
    this.#pool = new PrismaPool(this.#connections);
    this.prisma = options.client(new PrismaPg(this.#pool));
    if (options.onCommit) this.onCommit(options.onCommit);
  }

  /** Connects when first used, so it also opens while Postgres is down; `ping` tells. */
  static async open<Client extends PrismaClientLike>(
    options: DatabaseOptions<Client>,
  ): Promise<Database<Client>> {
    return new Database(options);
  }

  /**
   * One statement in one round trip, prepared under a name: keep the text constant and pass data
   * as values. The signal takes a waiting caller out of the queue and cancels a running statement
   * at the server. BIGINT comes as bigint, times as Date; a JSON value goes in as a string.
   * @example
   *     const [level] = await database.query<{ onHand: bigint }>(
   *       call.signal, `SELECT on_hand AS "onHand" FROM stock WHERE sku = $1`, [sku]);
   */
  async query<Row>(
    signal: AbortSignal | undefined,
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const connection = await this.#connections.take(signal);
    try {
      return await connection.rows<Row>(sql, values);
    } finally {
      connection.release();
    }
  }

  /**
   * Runs the work in one transaction and gives its result after COMMIT. An abort cancels the
   * running statement, rolls back and rejects with the signal's reason, whatever the work waits
   * for; once COMMIT is sent it comes too late. On a serialization failure or a deadlock the work
   * runs again from the start, so it must have no effect outside the transaction.
   * @example
   *     const order = await database.transaction(call.signal, async (tx) => {
   *       const order = await tx.order.create({ data });
   *       tx.emit(outboxEvent(OrderCreatedSchema, { aggregateId: order.id, version: 1, message }));
   *       return order;
   *     });
   */
  async transaction<T>(
    signal: AbortSignal | undefined,
    work: (tx: Tx<Client>) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    using cutoff = new Cutoff(signal, options.timeoutMs ?? STATEMENT_LIMIT_MS);
    const parts = { prisma: this.prisma, pool: this.#pool, connections: this.#connections };
    const { result, emitted } = await runTransaction(parts, cutoff, work, options);
    if (emitted) this.committed();
    return result;
  }

  /** Calls the listener after each COMMIT that wrote to the outbox. */
  onCommit(listener: () => void): Disposable {
    const own = (): void => listener();
    this.#onCommit.add(own);
    return { [Symbol.dispose]: () => void this.#onCommit.delete(own) };
  }

  /** For a `query` that wrote outbox rows itself, by a CTE: tells the `onCommit` listeners. */
  committed(): void {
    for (const listener of this.#onCommit) this.#guard(listener);
  }

  /** The time of Postgres, which every process that uses this database shares. */
  get clock(): DatabaseClock {
    return this.#connections.clock;
  }

  /** Resolves when the database answers, on the control connection: a full pool is not illness. */
  async ping(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await unlessAborted(signal, this.#connections.ping());
  }

  /** Stops what still runs, rolls it back, and closes every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections.close();
    await this.prisma.$disconnect();
  }

  #guard(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#report(error instanceof Error ? error : new Error(String(error)));
    }
  }

  readonly #report = (error: Error): void => this.#options.onError?.(error);
}
