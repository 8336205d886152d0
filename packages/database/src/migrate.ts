import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { PrismaPg } from "@prisma/adapter-pg";
import { Client, type DatabaseError, Pool } from "pg";
import { startSchemaEngine } from "./schema-engine.js";
import type { Statement } from "./statement.js";

/** Not the engine's own lock, 72707369, for which a second process waits 10 s and then fails. */
const LOCK = 0x6d69_6772;
const LOCK_LIMIT_MS = 120_000;
const CONNECT_LIMIT_MS = 10_000;

export interface MigrateOptions {
  url: string;
  /** Path of `schema.prisma`. */
  schema: string;
  /** Folder with `<timestamp>_<name>/migration.sql` and `migration_lock.toml`. */
  migrations: string;
}

/** A migration that Postgres refused, or that failed earlier and now bars the way. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";

  constructor(
    message: string,
    /** Its folder's name, where it is known. */
    readonly migration: string | undefined,
    options: ErrorOptions,
  ) {
    super(message, options);
  }
}

interface Script {
  path: string;
  sql: string;
}

/**
 * Applies the migrations that the database does not have, as `prisma migrate deploy` does and
 * with its table `_prisma_migrations`, and gives their names. One script runs as one transaction
 * unless it says otherwise. Safe when several processes start at once: one applies, the others
 * wait. Rejects with `MigrationError`, or with node-postgres' error where the database is away.
 * @example
 *     await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
 */
export async function migrate({ url, schema, migrations }: MigrateOptions): Promise<string[]> {
  const scripts = await readScripts(migrations);
  const lockfile = "migration_lock.toml";
  const client = new Client({
    connectionString: url,
    application_name: "migrate",
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
  });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await lock(client);
    const adapter = new MigrationAdapter(client, scripts);
    const content = await readFile(schema, "utf8");
    using engine = await startSchemaEngine({ path: basename(schema), content }, adapter);
    const outcome = engine.applyMigrations({
      migrationsList: {
        baseDir: migrations,
        lockfile: { path: lockfile, content: await readFile(join(migrations, lockfile), "utf8") },
        shadowDbInitScript: "",
        migrationDirectories: scripts.map(({ path, sql }) => ({
          path,
          migrationFile: { path: "migration.sql", content: { tag: "ok", value: sql } },
        })),
      },
      filters: { externalTables: [], externalEnums: [] },
    });
    const { appliedMigrationNames } = await outcome.catch((error: unknown) => {
      throw adapter.failure ?? refusal(error);
    });
    return appliedMigrationNames;
  } finally {
    await client.end();
  }
}

async function readScripts(folder: string): Promise<Script[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (path) => ({
      path,
      sql: await readFile(join(folder, path, "migration.sql"), "utf8"),
    })),
  );
}

/**
 * The lock belongs to the session, so it outlives this transaction and its lock_timeout. The time
 * zone is that of the service's own connections, for scripts that write times.
 */
async function lock(client: Client): Promise<void> {
  await client.query("SET TIME ZONE 'UTC'");
  await client.query(
    `BEGIN; SET LOCAL lock_timeout = ${LOCK_LIMIT_MS}; SELECT pg_advisory_lock(${LOCK}); COMMIT`,
  );
}

/**
 * The engine's way to Postgres: one connection, since it takes its own advisory lock there too.
 * The stock adapter cuts a script at each semicolon, so that function bodies and comments break
 * it and a failed script stays half applied; here a script goes as it is, in one message.
 */
class MigrationAdapter extends PrismaPg {
  failure: MigrationError | undefined;
  readonly #client: Client;
  readonly #scripts: readonly Script[];

  constructor(client: Client, scripts: readonly Script[]) {
    super(new ClientAsPool(client));
    this.#client = client;
    this.#scripts = scripts;
  }

  override async connect(): ReturnType<PrismaPg["connect"]> {
    const adapter = await super.connect();
    adapter.executeScript = (sql) => this.#execute(sql);
    return adapter;
  }

  async #execute(sql: string): Promise<void> {
    try {
      await this.#client.query(sql);
    } catch (error) {
      const script = this.#scripts.find((one) => one.sql === sql);
      if (script) this.failure = refusedScript(script, error as DatabaseError);
      // A script that failed inside a BEGIN of its own leaves that transaction open.
      await this.#client.query("ROLLBACK");
      throw error;
    }
  }
}

class ClientAsPool extends Pool {
  constructor(client: Client) {
    super({ max: 1 });
    this.query = ((statement: Statement) => client.query(statement)) as unknown as Pool["query"];
  }
}

function refusedScript({ path, sql }: Script, error: DatabaseError): MigrationError {
  const line = sql.slice(0, Number(error.position ?? 0)).split("\n").length;
  const where = error.position === undefined ? "" : `, line ${line}`;
  const code = error.code === undefined ? "" : ` (SQLSTATE ${error.code})`;
  return new MigrationError(`migration ${path}${where}: ${error.message}${code}`, path, {
    cause: error,
  });
}

/** P3009 and its kin: the engine's text names the migration between backquotes. */
function refusal(error: unknown): MigrationError {
  const text = error instanceof Error ? error.message : String(error);
  const migration = /`(\d+_[^`]+)`/.exec(text)?.[1];
  return new MigrationError(text.trim(), migration, { cause: error });
}
