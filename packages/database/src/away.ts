import { CommitUnknownError } from "./commit-unknown-error.js";
import { TimeUnknownError } from "./database-clock.js";

/**
 * SQLSTATEs of a server that goes, comes, or cannot serve now: class 08 (connections), class 53
 * (no disk, memory or connection is left), an I/O error, and a standby that takes no writes yet.
 */
const AWAY_STATES = /^(08...|53...|57P0[1235]|58030|25006)$/;

/** What Node says of connections, and Prisma in its own words. */
const AWAY_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "P1001",
  "P1002",
  "P1008",
  "P1017",
]);

/** node-postgres gives these no code. */
const AWAY_WORDS =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout)/;

/**
 * Whether an error says that Postgres cannot serve now: it cannot be reached, went away under a
 * statement, or has no disk, memory or connection left. Reads the words of Node, node-postgres and
 * Prisma. Of `CommitUnknownError` it is true too. A caller may repeat such a call where it has an
 * idempotency key.
 *
 * @example
 *     new GrpcServer({ ..., isAway }); // such calls are UNAVAILABLE
 */
export function isAway(error: unknown): boolean {
  for (let at = error, depth = 0; isRecord(at) && depth < 8; depth++) {
    if (at instanceof CommitUnknownError || at instanceof TimeUnknownError) return true;
    const { code, originalCode, message } = at;
    if ([code, originalCode].some(speaksOfConnections)) return true;
    if (typeof message === "string" && AWAY_WORDS.test(message)) return true;
    at = isRecord(at["meta"]) ? at["meta"]["driverAdapterError"] : at["cause"];
  }
  return false;
}

function speaksOfConnections(code: unknown): boolean {
  return typeof code === "string" && (AWAY_CODES.has(code) || AWAY_STATES.test(code));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
