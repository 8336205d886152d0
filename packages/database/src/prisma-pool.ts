import { AsyncLocalStorage } from "node:async_hooks";
import { Pool, type PoolClient, type QueryResult } from "pg";
import type { Connection } from "./connection.js";
import type { Connections } from "./connections.js";
import type { Statement } from "./statement.js";

/** As Prisma names them; Postgres treats what is left out, ReadUncommitted, as ReadCommitted. */
export type IsolationLevel = "ReadCommitted" | "RepeatableRead" | "Serializable";

const isolationClauses = {
  ReadCommitted: " ISOLATION LEVEL READ COMMITTED",
  RepeatableRead: " ISOLATION LEVEL REPEATABLE READ",
  Serializable: " ISOLATION LEVEL SERIALIZABLE",
} satisfies Record<IsolationLevel, string>;

/** A connection that waits for the next transaction Prisma opens in this async context. */
interface Loan {
  connection: Connection | undefined;
  isolationLevel: IsolationLevel | undefined;
  remainingMs: number;
}

/**
 * The pool as `@prisma/adapter-pg` sees it. It opens nothing of its own: each call goes to our
 * connections, so Prisma's statements take their turn in the same queue and obey the same stop.
 */
export class PrismaPool extends Pool {
  readonly #connections: Connections;
  readonly #loans = new AsyncLocalStorage<Loan>();

  constructor(connections: Connections) {
    super({ max: 1 });
    this.#connections = connections;
  }

  /** The first transaction that Prisma opens within `work` runs on this connection. */
  lend<T>(loan: Loan & { connection: Connection }, work: () => Promise<T>): Promise<T> {
    return this.#loans.run(loan, work);
  }

  override async connect(): Promise<PoolClient> {
    const loan = this.#loans.getStore();
    const connection = loan?.connection ?? (await this.#connections.take(undefined));
    const lent = loan?.connection ? loan : undefined;
    if (loan) loan.connection = undefined;
    const client = new TransactionClient(
      connection,
      lent?.isolationLevel ? isolationClauses[lent.isolationLevel] : "",
      lent?.remainingMs ?? this.#connections.statementLimitMs,
    );
    // The adapter uses a client for `query`, `release` and 'error' events, and nothing else.
    return client as unknown as PoolClient;
  }

  override query = (async (statement: Statement) => {
    const connection = await this.#connections.take(undefined);
    try {
      return await connection.run(withoutEmptyValues(statement));
    } finally {
      connection.release();
    }
  }) as unknown as Pool["query"];
}

/** What the adapter holds during a transaction: it says BEGIN and COMMIT, we say how. */
class TransactionClient {
  constructor(
    private readonly connection: Connection,
    private readonly isolationClause: string,
    private readonly remainingMs: number,
  ) {}

  query(statement: Statement): Promise<QueryResult> {
    switch (statement.text) {
      case "BEGIN":
        return this.connection.begin(this.isolationClause, this.remainingMs);
      case "COMMIT":
        return this.connection.commit();
      case "ROLLBACK":
        return this.connection.rollback();
      default:
        return this.connection.run(withoutEmptyValues(statement));
    }
  }

  release(error?: Error): void {
    this.connection.release(error);
  }

  on(event: "error", listener: (error: Error) => void): void {
    this.connection.client.on(event, listener);
  }

  removeListener(event: "error", listener: (error: Error) => void): void {
    this.connection.client.removeListener(event, listener);
  }
}

/** SAVEPOINT and its like take no parameters and must not become prepared statements. */
function withoutEmptyValues(statement: Statement): Statement {
  if (statement.values?.length !== 0) return statement;
  return { ...statement, values: undefined };
}
