import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createDatabaseIfMissing, migrate, MigrationError } from "../src/index.js";
import { migrations, open, schema, TestPostgres } from "./postgres.js";

let postgres: TestPostgres;
let folder: string;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "emporium-migrations-"));
  await cp(migrations, folder, { recursive: true });
});

afterEach(() => rm(folder, { recursive: true }));

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
});

async function addMigration(name: string, sql: string): Promise<void> {
  await mkdir(join(folder, name));
  await writeFile(join(folder, name, "migration.sql"), sql);
}

test("a database is created once, also when several ask at the same time", async () => {
  const url = postgres.url("asked for by many");
  const created = await Promise.all([1, 2, 3, 4].map(() => createDatabaseIfMissing(url)));
  expect(created.filter(Boolean)).toHaveLength(1);
  expect(await createDatabaseIfMissing(url)).toBe(false);
});

test("migrations are applied once, in order, with function bodies whole", async () => {
  const url = postgres.url("order");
  await createDatabaseIfMissing(url);
  await addMigration("20260201000000_colour", 'ALTER TABLE "account" ADD COLUMN "colour" TEXT;');
  expect(await migrate({ url, schema, migrations })).toEqual(["20260101000000_shop"]);
  expect(await migrate({ url, schema, migrations: folder })).toEqual(["20260201000000_colour"]);
  expect(await migrate({ url, schema, migrations: folder })).toEqual([]);
  await using database = await open(url);
  expect(await database.query(undefined, "SELECT total()")).toEqual([{ total: "0" }]);
});

test("processes that start at once apply each migration once", async () => {
  const url = postgres.url("together");
  await createDatabaseIfMissing(url);
  await addMigration("20260201000000_slow", "SELECT pg_sleep(0.2); CREATE TABLE slow (id INT);");
  const applied = await Promise.all(
    [1, 2, 3, 4].map(() => migrate({ url, schema, migrations: folder })),
  );
  expect(applied.flat()).toEqual(["20260101000000_shop", "20260201000000_slow"]);
});

test("several databases can be migrated at the same time by one process", async () => {
  const urls = ["one", "two", "three"].map((name) => postgres.url(name));
  await Promise.all(urls.map(createDatabaseIfMissing));
  const applied = await Promise.all(urls.map((url) => migrate({ url, schema, migrations })));
  expect(applied.flat()).toEqual(Array(3).fill("20260101000000_shop"));
});

test("a migration that fails is named with its line, leaves nothing behind, and bars the way", async () => {
  const url = postgres.url("failing");
  await createDatabaseIfMissing(url);
  const name = "20260301000000_broken";
  await addMigration(name, "CREATE TABLE half (id INT);\n\nSELECT nonsense;\n");
  await addMigration("20260401000000_never", "CREATE TABLE never (id INT);");
  const failure = await migrate({ url, schema, migrations: folder }).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(MigrationError);
  expect(failure).toMatchObject({
    migration: name,
    message: `migration ${name}, line 3: column "nonsense" does not exist (SQLSTATE 42703)`,
  });
  await using database = await open(url);
  const tables = await database.query(
    undefined,
    "SELECT FROM pg_class WHERE relname IN ('half', 'never')",
  );
  expect(tables).toEqual([]);
  const again = await migrate({ url, schema, migrations: folder }).catch((error: unknown) => error);
  expect(again).toBeInstanceOf(MigrationError);
  expect(again).toMatchObject({ migration: name });
});

test("the history is the one that `prisma migrate deploy` keeps", async () => {
  const url = postgres.url("history");
  await createDatabaseIfMissing(url);
  await migrate({ url, schema, migrations });
  await using database = await open(url);
  const rows = await database.query(
    undefined,
    `SELECT migration_name, length(checksum) AS checksum, finished_at IS NOT NULL AS finished,
            applied_steps_count FROM _prisma_migrations`,
  );
  expect(rows).toEqual([
    { migration_name: "20260101000000_shop", checksum: 64, finished: true, applied_steps_count: 1 },
  ]);
});

test("a Postgres that is away is told as such", async () => {
  const url = "postgres://emporium:emporium@127.0.0.1:1/none";
  await expect(migrate({ url, schema, migrations })).rejects.toMatchObject({
    code: "ECONNREFUSED",
  });
  await expect(createDatabaseIfMissing(url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
