import { createHash } from "node:crypto";
import { type CustomTypesConfig, type DatabaseError, type QueryConfig, types } from "pg";

/** One SQL statement as node-postgres takes it; `query_timeout` in milliseconds. */
export type Statement = QueryConfig<unknown[]> & {
  rowMode?: "array";
  query_timeout?: number;
};

const MOST_NAMES = 200;

/**
 * Names for prepared statements, derived from their text, so that each connection parses and
 * plans a text once. A process that builds its SQL from data would fill the server's memory with
 * plans it never uses again: after 200 texts the rest go unnamed.
 */
export class StatementNames {
  readonly #names = new Map<string, string>();
  #renewals = 0;

  of(sql: string): string | undefined {
    const known = this.#names.get(sql);
    if (known !== undefined || this.#names.size >= MOST_NAMES) return known;
    const name = createHash("sha256").update(sql).digest("base64url").slice(0, 22);
    this.#names.set(sql, name);
    return name;
  }

  /**
   * Gives the text another name. A migration that changes a result's type makes every plan of
   * that text fail on every connection for as long as its name is used.
   */
  renew(sql: string): void {
    const name = this.#names.get(sql);
    if (name === undefined) return;
    this.#renewals += 1;
    this.#names.set(sql, `${name.slice(0, 22)}-${this.#renewals}`);
  }
}

/** True when a prepared statement no longer fits the schema, or is not there any more. */
export function isStalePlan(error: DatabaseError): boolean {
  return error.code === "26000" || error.routine === "RevalidateCachedQuery";
}

/**
 * Values as Postgres should read them. node-postgres writes a Date in the process's time zone,
 * and a column without a zone then keeps the local time; Prisma keeps UTC in such columns.
 */
export function toParameters(values: readonly unknown[]): unknown[] {
  return values.map((value) => {
    if (value instanceof Date) return value.toISOString();
    return Array.isArray(value) ? toParameters(value) : value;
  });
}

const { INT8, TIMESTAMP, TIMESTAMPTZ, DATE } = types.builtins;
const INT8_ARRAY: number = 1016;
const parseInstant = types.getTypeParser(TIMESTAMPTZ);

const parsers = new Map<number, (text: string) => unknown>([
  [INT8, BigInt],
  [INT8_ARRAY, (text) => parseArray(text, (item) => BigInt(item))],
  [TIMESTAMP, (text) => parseInstant(`${text}+00`)],
  [DATE, (text) => parseInstant(`${text} 00:00:00+00`)],
]);

/**
 * Results in the types Prisma gives: BIGINT as bigint, times without a zone as UTC. The rest is
 * node-postgres' own: NUMERIC and UUID as strings, TIMESTAMPTZ as Date, BYTEA as Buffer, JSON as
 * values.
 */
export const resultTypes: CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    parsers.get(oid) ?? types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

function parseArray(text: string, item: (text: string) => bigint): (bigint | null)[] {
  const items: (string | null)[] = types.getTypeParser(INT8_ARRAY)(text);
  return items.map((value) => (value === null ? null : item(value)));
}
