import { Client, escapeIdentifier } from "pg";

/** One number for all who create databases on a server; the digits spell "db" in ASCII. */
const LOCK = 0x6462;

/**
 * Creates the database that the URL names, through the server's `postgres` database, unless it is
 * there. True if it was created by this call. Safe when several processes start at once.
 * @example
 *     await createDatabaseIfMissing("postgres://shop@localhost:5432/inventory");
 */
export async function createDatabaseIfMissing(url: string): Promise<boolean> {
  const maintenance = new URL(url);
  const name = decodeURIComponent(maintenance.pathname.slice(1));
  if (name === "") throw new Error("the database URL names no database");
  maintenance.pathname = "/postgres";
  const client = new Client({ connectionString: maintenance.href });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [LOCK]);
    const found = await client.query("SELECT FROM pg_database WHERE datname = $1", [name]);
    if (found.rowCount !== 0) return false;
    await client.query(`CREATE DATABASE ${escapeIdentifier(name)}`);
    return true;
  } finally {
    await client.end();
  }
}
