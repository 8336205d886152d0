import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { sqlStateOf } from "../src/index.js";
import { open, TestPostgres, type TestDatabase } from "./postgres.js";

let postgres: TestPostgres;
let database: TestDatabase;

beforeAll(async () => {
  // Where a local time can be half an hour off, and twice a year an hour.
  vi.stubEnv("TZ", "America/St_Johns");
  postgres = await TestPostgres.start();
  database = await open(await postgres.createShop("query"), { poolSize: 3 });
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await database[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

test("values come back in the types that Prisma gives", async () => {
  const at = new Date("2026-03-29T01:30:00.123Z");
  const [row] = await database.query(
    undefined,
    `SELECT $1::bigint AS big, $2::bigint[] AS bigs, $3::timestamp AS local, $3::timestamptz AS instant,
            $4::bytea AS bytes, $5::jsonb AS json, $3::date AS day, $6::timestamptz[] AS instants`,
    [2n ** 60n, [1n, null, 3n], at, new Uint8Array([0, 255]), '{"a":1}', [at]],
  );
  expect(row).toEqual({
    big: 2n ** 60n,
    bigs: [1n, null, 3n],
    local: at,
    instant: at,
    bytes: Buffer.from([0, 255]),
    json: { a: 1 },
    day: new Date("2026-03-29"),
    instants: [at],
  });
});

test("a time written by Prisma is the same time when read by query", async () => {
  const createTime = new Date("2026-07-01T12:00:00.000Z");
  expect(createTime.getTimezoneOffset()).toBe(150);
  await database.prisma.account.create({
    data: { id: "times", balance: 0n, entries: { create: { amount: 1n, createTime } } },
  });
  const rows = await database.query<{ createTime: Date }>(
    undefined,
    `SELECT create_time AS "createTime" FROM entry WHERE account_id = $1 AND create_time = $2`,
    ["times", createTime],
  );
  expect(rows).toEqual([{ createTime }]);
});

test("the clock of a Postgres in another time zone is read right", async () => {
  const [viaPrisma] = await database.prisma.$queryRaw<{ now: Date }[]>`SELECT now() AS now`;
  const [viaQuery] = await database.query<{ now: Date }>(undefined, "SELECT now() AS now");
  for (const row of [viaPrisma, viaQuery]) {
    expect(Math.abs(Number(row?.now) - Date.now())).toBeLessThan(60_000);
  }
  const created = await database.prisma.account.create({
    data: { id: "now", balance: 0n, entries: { create: { amount: 1n } } },
    include: { entries: true },
  });
  expect(Math.abs(Number(created.entries[0]?.createTime) - Date.now())).toBeLessThan(60_000);
});

test("a text is prepared once per connection, under one name", async () => {
  const sql = "SELECT $1::int AS prepared_once";
  for (let i = 0; i < 5; i++) await database.query(undefined, sql, [i]);
  const [count] = await database.query<{ count: bigint }>(
    undefined,
    "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1",
    [sql],
  );
  expect(count).toEqual({ count: 1n });
});

test("a process that builds its SQL from data leaves at most 200 prepared statements", async () => {
  await using own = await open(postgres.url("query"), { poolSize: 1 });
  for (let i = 0; i < 230; i++) await own.query(undefined, `SELECT ${i} AS built`);
  const [count] = await own.query(undefined, "SELECT count(*) FROM pg_prepared_statements");
  expect(count).toEqual({ count: 200n });
});

test("a column that changes its type under a prepared statement is no error", async () => {
  await database.query(undefined, "CREATE TABLE shelf (label INT)");
  const read = () => database.query(undefined, "SELECT label FROM shelf");
  const readInTransaction = () =>
    database.transaction(undefined, (tx) => tx.query("SELECT label, 1 AS one FROM shelf"));
  await database.query(undefined, "INSERT INTO shelf VALUES (7)");
  expect(await read()).toEqual([{ label: 7 }]);
  expect(await readInTransaction()).toEqual([{ label: 7, one: 1 }]);
  await database.query(undefined, "ALTER TABLE shelf ALTER label TYPE TEXT");
  const reads = await Promise.all([read(), read(), read()]);
  expect(reads.flat()).toEqual([{ label: "7" }, { label: "7" }, { label: "7" }]);
  expect(await readInTransaction()).toEqual([{ label: "7", one: 1 }]);
});

test("sqlStateOf reads the errors of query, Prisma's models and Prisma's raw queries", async () => {
  const data = { id: "twice", balance: 0n };
  await database.prisma.account.create({ data });
  const attempts: Promise<unknown>[] = [
    database.query(undefined, "INSERT INTO account VALUES ('twice', 0)"),
    database.prisma.account.create({ data }),
    database.prisma.$executeRaw`INSERT INTO account VALUES ('twice', 0)`,
    database.transaction(undefined, (tx) => tx.account.create({ data })),
  ];
  const states = (await Promise.allSettled(attempts)).map((outcome) =>
    outcome.status === "rejected" ? sqlStateOf(outcome.reason) : "none",
  );
  expect(states).toEqual(["23505", "23505", "23505", "23505"]);
  expect(sqlStateOf(new Error("other"))).toBeUndefined();
});

test("batches and nested writes of Prisma take their transaction from the same pool", async () => {
  await database.prisma.$transaction([
    database.prisma.account.create({ data: { id: "batch-1", balance: 1n } }),
    database.prisma.account.create({ data: { id: "batch-2", balance: 2n } }),
  ]);
  const rows = await database.prisma.account.findMany({ where: { id: { startsWith: "batch-" } } });
  expect(rows).toHaveLength(2);
});

test("ping answers although every connection of the pool is taken", async () => {
  const stop = new AbortController();
  const busy = Promise.allSettled(
    [1, 2, 3].map(() => database.query(stop.signal, "SELECT pg_sleep(30)")),
  );
  await database.ping();
  const reason = new Error("enough");
  stop.abort(reason);
  for (const outcome of await busy) expect(outcome).toEqual({ status: "rejected", reason });
});
