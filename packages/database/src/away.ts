import { CommitUnknownError } from "./commit-unknown-error.js";

/** SQLSTATEs of a server that goes, comes, or has no room; and class 08, connections. */
const AWAY_STATES = /^(08...|57P0[1235]|53300)$/;

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
 * Whether an error says that Postgres cannot be reached, or went away under a statement, in the
 * words of Node, node-postgres or Prisma. Of `CommitUnknownError` it is true too. What was asked for
 * may be asked for again where it has an idempotency key.
 *
 * @example
 *     new GrpcServer({ ..., isAway }); // such calls are UNAVAILABLE
 */
export function isAway(error: unknown): boolean {
  for (let at = error, depth = 0; isRecord(at) && depth < 8; depth++) {
    if (at instanceof CommitUnknownError) return true;
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
