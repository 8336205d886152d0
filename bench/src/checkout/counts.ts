import { Client } from "pg";

/** What a shop asked of Postgres, so far or for one checkout. */
export interface Counts {
  /** Transactions that committed, those that only read as well. */
  commits: number;
  /** Statements, BEGIN and COMMIT as well. */
  statements: number;
  /** Of the statements, those that publish and take in events. */
  eventStatements: number;
  /** How often the WAL was made durable, by the whole server. */
  syncs: number;
}

/** https://www.postgresql.org/docs/18/pgstatstatements.html */
const COUNT = `
  SELECT
    (SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = ANY ($1)) AS commits,
    sum(calls) AS statements,
    sum(calls) FILTER (WHERE query ~ 'outbox_lane|inbox') AS "eventStatements",
    (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal') AS syncs
  FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE datname = ANY ($1)`;

/** Counts what is asked of some databases of a server that has `pg_stat_statements` loaded. */
export async function countsOf(adminUrl: string, databases: string[]): Promise<Counts> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query<Record<keyof Counts, string>>(COUNT, [databases]);
    const counted = Object.entries(rows[0]!).map(([key, value]) => [key, Number(value ?? 0)]);
    return Object.fromEntries(counted);
  } finally {
    await client.end();
  }
}

/** What lies between two counts, for each of so many checkouts. */
export function perCheckout(before: Counts, after: Counts, checkouts: number): Counts {
  const keys = Object.keys(before) as (keyof Counts)[];
  const each = keys.map((key) => [key, (after[key] - before[key]) / checkouts]);
  return Object.fromEntries(each);
}
