import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError, type PoolClient, type QueryResult } from "pg";
import { endStatementSpan, statementSpan } from "./statement-span.js";
import {
  isStalePlan,
  resultTypes,
  toParameters,
  type Statement,
  type StatementNames,
} from "./statement.js";

/** How long a statement may outlive its cancellation before its connection is cut. */
const CANCEL_LIMIT_MS = 2_000;
const COMMIT_LIMIT_MS = 10_000;
const SOCKET_GRACE_MS = 5_000;

/** What a connection needs from the pool that lends it. */
export interface Lender {
  readonly names: StatementNames;
  /** Longest time of one statement, in milliseconds. */
  readonly statementLimitMs: number;
  cancel(backendPid: number): Promise<void>;
  takeBack(connection: Connection, error: Error | undefined): void;
}

/**
 * One Postgres connection while somebody holds it. It sends one statement at a time and can be
 * stopped: the running statement is cancelled at the server, the next ones are refused, and only
 * ROLLBACK still passes. No command leaves while a cancel request is under way, so a request
 * that comes late finds the backend idle, where Postgres ignores it, and the next holder never
 * sees its own statement cancelled (SQLSTATE 57014).
 */
export class Connection {
  readonly client: PoolClient;
  /** The first error the server gave in this transaction, kept because Prisma rewrites errors. */
  failure: DatabaseError | undefined;
  stalePlan = false;
  /** COMMIT was sent and its answer never came. */
  commitUnknown = false;

  readonly #lender: Lender;
  #whenStopped: PromiseWithResolvers<never> | undefined;
  #stop: { reason: unknown } | undefined;
  #followed: AbortSignal | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #running: Promise<unknown> | undefined;
  #cancelling: Promise<void> | undefined;
  #inTransaction = false;
  #committing = false;
  #statementLimitMs: number;
  #broken: Error | undefined;
  #released = false;

  constructor(client: PoolClient, lender: Lender, signal: AbortSignal | undefined) {
    this.client = client;
    this.#lender = lender;
    this.#statementLimitMs = lender.statementLimitMs;
    client.on("error", this.#onError);
    this.#followed = signal;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort);
  }

  /** The reason it was stopped for, if it was. */
  get stop(): { reason: unknown } | undefined {
    return this.#stop;
  }

  /** Settles like the promise, or rejects with the reason at the moment this is stopped. */
  unlessStopped<T>(promise: Promise<T>): Promise<T> {
    this.#whenStopped ??= Promise.withResolvers<never>();
    if (this.#stop) this.#whenStopped.reject(this.#stop.reason);
    return Promise.race([promise, this.#whenStopped.promise]);
  }

  /** Runs a statement as a named prepared one and gives its rows. */
  async rows<Row>(sql: string, values: readonly unknown[]): Promise<Row[]> {
    const result = await this.run({ text: sql, values: toParameters(values), types: resultTypes });
    return result.rows as Row[];
  }

  run(statement: Statement): Promise<QueryResult> {
    return this.#inTurn(async () => {
      try {
        return await this.#send(statement);
      } catch (error) {
        if (!this.stalePlan || this.#inTransaction) throw error;
        this.stalePlan = false;
        return this.#send(statement);
      }
    });
  }

  /**
   * Opens a transaction, in one round trip with its timeouts. They hold the server to the time
   * also when this process has died or lost the network.
   */
  begin(isolation: string, remainingMs: number): Promise<QueryResult> {
    this.#inTransaction = true;
    this.#statementLimitMs = remainingMs;
    const text = `BEGIN${isolation}; SET LOCAL statement_timeout = ${remainingMs}; SET LOCAL idle_in_transaction_session_timeout = ${remainingMs + SOCKET_GRACE_MS}`;
    return this.#inTurn(() => this.#send({ text }));
  }

  /** Once it is sent, a stop comes too late: the work is done, and Postgres has the last word. */
  commit(): Promise<QueryResult> {
    return this.#inTurn(async () => {
      this.#committing = !this.#stop && !this.#broken;
      try {
        const result = await this.#send({ text: "COMMIT", query_timeout: COMMIT_LIMIT_MS });
        if (result.command === "ROLLBACK") throw rolledBack(this.failure);
        return result;
      } catch (error) {
        if (this.#broken) this.commitUnknown = this.#committing;
        else await this.#send({ text: "ROLLBACK" });
        throw error;
      }
    });
  }

  rollback(): Promise<QueryResult> {
    return this.#inTurn(() => this.#send({ text: "ROLLBACK", query_timeout: CANCEL_LIMIT_MS }));
  }

  /** Cancels what runs and refuses what comes; `reason` is what callers get. */
  halt(reason: unknown): void {
    if (this.#stop || this.#committing || this.#released) return;
    this.#stop = { reason };
    this.#whenStopped?.reject(reason);
    if (this.#running) this.#cancelling = this.#cancel(this.#running);
  }

  /** Gives the connection back; with an error it is closed instead of used again. */
  release(error?: Error): void {
    if (this.#released) return;
    this.#released = true;
    this.#broken ??= error;
    this.#followed?.removeEventListener("abort", this.#onAbort);
    this.client.removeListener("error", this.#onError);
    if (this.#inTransaction && this.client.getTransactionStatus() !== "I") {
      this.#broken ??= new Error("the connection came back inside a transaction");
    }
    this.#lender.takeBack(this, this.#broken);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #send(statement: Statement): Promise<QueryResult> {
    if (this.#released) throw new Error("the transaction is over");
    if (this.#stop && statement.text !== "ROLLBACK") throw this.#stop.reason;
    const span = statementSpan(statement.text);
    const sent = this.client.query({
      query_timeout: this.#statementLimitMs + SOCKET_GRACE_MS,
      ...statement,
      ...(statement.values && { name: this.#lender.names.of(statement.text) }),
    });
    this.#running = sent;
    try {
      const result = await sent;
      endStatementSpan(span);
      if (statement.text.startsWith("ROLLBACK TO")) this.failure = undefined;
      return result;
    } catch (error) {
      endStatementSpan(span, error);
      this.#note(error, statement);
      throw this.#stop ? this.#stop.reason : error;
    } finally {
      this.#running = undefined;
      await this.#cancelling;
    }
  }

  #note(error: unknown, statement: Statement): void {
    if (!(error instanceof DatabaseError) || error.severity === "FATAL") {
      this.#broken ??= error instanceof Error ? error : new Error(String(error));
    }
    if (!(error instanceof DatabaseError)) return;
    this.failure ??= error;
    if (isStalePlan(error)) {
      this.stalePlan = true;
      this.#lender.names.renew(statement.text);
    }
  }

  /** Asks again until the statement ends: a request that overtakes its statement is ignored. */
  async #cancel(running: Promise<unknown>): Promise<void> {
    const settled = running.catch(() => undefined);
    const cut = Promise.withResolvers<void>();
    const timer = setTimeout(() => cut.resolve(this.client.end()), CANCEL_LIMIT_MS);
    const pid = backendPid(this.client);
    for (let pauseMs = 10; this.#running === running; pauseMs *= 2) {
      await Promise.race([this.#lender.cancel(pid).catch(() => undefined), cut.promise]);
      await Promise.race([settled, sleep(pauseMs, undefined, { ref: false })]);
    }
    clearTimeout(timer);
  }

  readonly #onAbort = (): void => this.halt(this.#followed?.reason);
  readonly #onError = (error: Error): void => void (this.#broken ??= error);
}

/** node-postgres keeps it from the BackendKeyData message; its types leave it out. */
function backendPid(client: PoolClient): number {
  return (client as PoolClient & { readonly processID: number }).processID;
}

/** https://www.postgresql.org/docs/current/sql-commit.html says nothing of it: no error comes. */
function rolledBack(cause: Error | undefined): Error {
  return new Error(
    `Postgres answered COMMIT with ROLLBACK, because a statement had failed and its error was swallowed: ${cause?.message}`,
    { cause },
  );
}
