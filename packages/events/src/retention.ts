import type { Database, PrismaClientLike } from "@emporium/database";
import type { AnyDatabase } from "./lanes.js";
import type { Logger } from "./logger.js";
import { pause } from "./pause.js";

const EVERY_MS = 60_000;
const BATCH = 1_000;
const BETWEEN_BATCHES_MS = 50;

/**
 * Unpublished rows stay, however old. Ids are UUIDv7, so the oldest rows are the first in the primary
 * key and are found without a look at the others.
 */
const PRUNE_OUTBOX = `
DELETE FROM outbox WHERE id IN (
  SELECT id FROM outbox
  WHERE id < $1::uuid AND publish_time < now() - $2 * interval '1 ms'
  ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
RETURNING id`;

/** Something that grows, with the time that its rows are kept, in milliseconds. */
interface Kept {
  retentionMs: number;
  /** Whose time decides: processes' clocks differ, and what one drops is gone for all. */
  database: Pick<Database<PrismaClientLike>, "clock" | "ping">;
  /** Drops up to 1,000 rows whose ids are below this one and gives their number. */
  prune: (below: string, signal: AbortSignal) => Promise<number>;
}

/** Drops published rows that are older than the retention. */
export async function pruneOutbox(
  database: AnyDatabase,
  { below, retentionMs, signal }: { below: string; retentionMs: number; signal: AbortSignal },
): Promise<number> {
  return (await database.query(signal, PRUNE_OUTBOX, [below, retentionMs])).length;
}

/** Drops what is older than it has to be, each minute, in small batches, until the signal fires. */
export async function dropOldRows(
  { retentionMs, database, prune }: Kept,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await database.ping(signal);
      const below = lowestIdOf(database.clock.now().getTime() - retentionMs);
      while ((await prune(below, signal)) === BATCH) await pause(BETWEEN_BATCHES_MS, signal);
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, "Old rows stay a while longer");
    }
    await pause(EVERY_MS * (0.5 + Math.random()), signal);
  }
}

/** The lowest UUIDv7 of a millisecond. https://www.rfc-editor.org/rfc/rfc9562#section-5.7 */
function lowestIdOf(timeMs: number): string {
  const hex = Math.floor(timeMs).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
