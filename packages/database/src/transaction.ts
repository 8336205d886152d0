import { setTimeout as sleep } from "node:timers/promises";
import type { ITXClientDenyList } from "@prisma/client/runtime/client";
import { CommitUnknownError } from "./commit-unknown-error.js";
import type { Connection } from "./connection.js";
import type { Connections } from "./connections.js";
import type { Cutoff } from "./cutoff.js";
import { appendToOutbox, type OutboxRow } from "./outbox.js";
import type { IsolationLevel, PrismaPool } from "./prisma-pool.js";

/** What is asked of a Prisma client here; each generated one fits. */
export interface PrismaClientLike {
  $transaction(...args: never[]): Promise<unknown>;
  $disconnect(): Promise<void>;
}

/** The form of `$transaction` used here; the generated ones have another type in each service. */
interface InteractiveClient {
  $transaction<R>(
    work: (tx: object) => Promise<R>,
    options: { maxWait: number; timeout: number },
  ): Promise<R>;
}

/**
 * What `transaction` hands to its work: each model and `$queryRaw` of the Prisma client, and
 * @example
 *     await tx.order.update({ where: { id }, data: { state: "CANCELLED", version } });
 *     tx.emit(outboxEvent(OrderCancelledSchema, { aggregateId: id, version, message }));
 */
export type Tx<Client> = Omit<Client, ITXClientDenyList | "$transaction"> & {
  /** Keeps an event for the outbox; it is written in this transaction, just before COMMIT. */
  emit(row: OutboxRow): void;
  /** One prepared statement in one round trip, inside this transaction; see `Database.query`. */
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
};

export interface TransactionOptions {
  /** Longest time for all attempts together, in milliseconds; 30,000 if not given. */
  timeoutMs?: number;
  /** The server's default, READ COMMITTED, if not given. */
  isolationLevel?: IsolationLevel;
  /** How often the work may run in all, when Postgres asks to start over; 5 if not given. */
  attempts?: number;
}

interface Ending<T> {
  result: T;
  emitted: boolean;
}

/** serialization_failure and deadlock_detected: the transaction did nothing wrong and may try again. */
const STARTS_OVER = new Set(["40001", "40P01"]);
/** Prisma's own timers: later than ours, so that they never speak first. */
const PRISMA_GRACE_MS = 15_000;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 200;

/** Runs the work in a transaction, again if Postgres asks for it, until it is committed. */
export async function runTransaction<Client extends PrismaClientLike, T>(
  { prisma, pool, connections }: { prisma: Client; pool: PrismaPool; connections: Connections },
  cutoff: Cutoff,
  work: (tx: Tx<Client>) => Promise<T>,
  { isolationLevel, attempts = 5 }: TransactionOptions,
): Promise<Ending<T>> {
  for (let attempt = 1; ; attempt++) {
    const connection = await connections.take(cutoff.signal);
    const { remainingMs } = cutoff;
    try {
      return await pool.lend({ connection, isolationLevel, remainingMs }, () =>
        (prisma as unknown as InteractiveClient).$transaction(
          (tx) => perform(connection, tx, work),
          {
            maxWait: remainingMs + PRISMA_GRACE_MS,
            timeout: remainingMs + PRISMA_GRACE_MS,
          },
        ),
      );
    } catch (error) {
      if (connection.commitUnknown) throw new CommitUnknownError({ cause: error });
      if (connection.stop) throw connection.stop.reason;
      if (attempt >= attempts || !mayStartOver(connection)) throw error;
    } finally {
      connection.release();
    }
    await pause(attempt, cutoff.signal);
  }
}

async function perform<Client, T>(
  connection: Connection,
  prismaTx: object,
  work: (tx: Tx<Client>) => Promise<T>,
): Promise<Ending<T>> {
  const emitted: OutboxRow[] = [];
  let ended = false;
  const additions: Record<string | symbol, unknown> = {
    emit(row: OutboxRow): void {
      if (ended) throw new Error("emit came after the transaction's work had ended");
      emitted.push(row);
    },
    query: (sql: string, values: readonly unknown[] = []) => connection.rows(sql, values),
  };
  const tx = new Proxy(prismaTx, {
    get: (target, key) =>
      Object.hasOwn(additions, key) ? additions[key] : Reflect.get(target, key),
  });
  // Work that waits for something else than the database must not hold its locks after a stop.
  const result = await connection.unlessStopped(work(tx as Tx<Client>));
  ended = true;
  await appendToOutbox(connection, emitted);
  return { result, emitted: emitted.length > 0 };
}

function mayStartOver({ failure, stalePlan }: Connection): boolean {
  return stalePlan || (failure?.code !== undefined && STARTS_OVER.has(failure.code));
}

/** Full jitter, so that two that met once do not meet again. */
async function pause(attempt: number, signal: AbortSignal): Promise<void> {
  const longestMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  await sleep(Math.random() * longestMs, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}
