import { afterAll, beforeAll, expect, test } from "vitest";
import { CommitUnknownError, isAway } from "../src/index.js";
import { open, TestPostgres } from "./postgres.js";
import { Wire } from "./wire.js";

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  await postgres.createShop("outage");
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
});

test("a database opens while Postgres is down, says so, and works once it is up", async () => {
  await postgres.stop();
  await using database = await open(postgres.url("outage"));
  await expect(database.ping()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await expect(database.query(undefined, "SELECT 1")).rejects.toMatchObject({
    code: "ECONNREFUSED",
  });
  await expect(database.prisma.account.count()).rejects.toThrow("Can't reach database server");
  await expect(database.transaction(undefined, async () => 1)).rejects.toMatchObject({
    code: "ECONNREFUSED",
  });
  await postgres.start();
  await database.ping();
  expect(await database.prisma.account.count()).toBe(0);
});

test("that Postgres is away can be told from what it says while it is there", async () => {
  await postgres.stop();
  await using database = await open(postgres.url("outage"));
  const calls = [
    () => database.ping(),
    () => database.query(undefined, "SELECT 1"),
    () => database.prisma.account.count(),
    () => database.transaction(undefined, async (tx) => tx.account.count()),
  ];
  for (const call of calls) await expect(call()).rejects.toSatisfy(isAway);
  await postgres.start();
  const taken = () => database.prisma.account.create({ data: { id: "taken", balance: 1n } });
  await taken();
  const mistakes = [
    taken,
    () => database.query(undefined, "SELECT 1 / 0"),
    () => database.query(undefined, "SELECT nothing"),
    () => database.query(AbortSignal.abort(), "SELECT 1"),
    () => database.transaction(undefined, async () => Promise.reject(new Error("ours"))),
  ];
  for (const call of mistakes)
    await expect(call()).rejects.toSatisfy((error: unknown) => !isAway(error));
});

test.for([
  ["53000", "insufficient_resources"],
  ["53100", "disk_full"],
  ["53200", "out_of_memory"],
  ["53300", "too_many_connections"],
  ["53400", "configuration_limit_exceeded"],
  ["58030", "io_error"],
  ["25006", "read_only_sql_transaction"],
])("SQLSTATE %s (%s) says that Postgres cannot serve now", async ([code]) => {
  await using database = await open(postgres.url("outage"));
  const raise = `DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '${code}'; END $$`;
  const calls = [
    () => database.query(undefined, raise),
    () => database.prisma.$executeRawUnsafe(raise),
    () => database.transaction(undefined, (tx) => tx.query(raise)),
    () => database.transaction(undefined, (tx) => tx.$executeRawUnsafe(raise)),
  ];
  for (const call of calls) await expect(call()).rejects.toSatisfy(isAway);
});

test("a temporary file that exceeds its limit says that Postgres cannot serve now", async () => {
  await using database = await open(postgres.url("outage"));
  const sorted = database.transaction(undefined, async (tx) => {
    await tx.query("SET LOCAL temp_file_limit = '64kB'");
    await tx.query("SET LOCAL work_mem = '64kB'");
    await tx.query("SELECT * FROM generate_series(1, 200000) AS n ORDER BY md5(n::text)");
  });
  await expect(sorted).rejects.toSatisfy(isAway);
});

test("a restart of Postgres costs the calls that ran, not the process", async () => {
  const reported: Error[] = [];
  await using database = await open(postgres.url("outage"), {
    poolSize: 4,
    onError: (error) => reported.push(error),
  });
  const inside = Promise.withResolvers<void>();
  await Promise.all([1, 2, 3, 4].map(() => database.query(undefined, "SELECT pg_sleep(0.02)")));
  const ended = Promise.allSettled([
    database.query(undefined, "SELECT pg_sleep(30)"),
    database.transaction(undefined, async (tx) => {
      await tx.query("SELECT 1");
      inside.resolve();
      await tx.query("SELECT pg_sleep(30)");
    }),
  ]);
  await inside.promise;
  await postgres.stop();
  for (const outcome of await ended)
    expect(outcome).toMatchObject({ status: "rejected", reason: expect.toSatisfy(isAway) });
  await postgres.start();
  await Promise.all([1, 2, 3, 4].map(() => database.query(undefined, "SELECT 1")));
  expect(reported.length).toBeGreaterThan(0);
});

test("a connection that breaks during COMMIT leaves the outcome unknown and starts nothing over", async () => {
  await using wire = await Wire.to(postgres.port);
  await using database = await open(postgres.url("outage", wire.port));
  let runs = 0;
  const transaction = database.transaction(undefined, async (tx) => {
    runs += 1;
    await tx.account.create({ data: { id: "unknown", balance: 1n } });
    wire.cutAfter("COMMIT");
  });
  await expect(transaction).rejects.toBeInstanceOf(CommitUnknownError);
  await expect(transaction).rejects.toSatisfy(isAway);
  expect(runs).toBe(1);
  expect(await database.prisma.account.count({ where: { id: "unknown" } })).toBe(1);
});

test("a call that is stopped on a silent network ends within 3 s and cuts its connection", async () => {
  await using wire = await Wire.to(postgres.port);
  await using database = await open(postgres.url("outage", wire.port), { poolSize: 2 });
  await database.ping();
  await Promise.all([1, 2].map(() => database.query(undefined, "SELECT pg_sleep(0.02)")));
  const caller = new AbortController();
  const started = Promise.withResolvers<void>();
  const calls = Promise.allSettled([
    database.query(caller.signal, "SELECT pg_sleep(30)"),
    database.transaction(caller.signal, async (tx) => {
      await tx.query("SELECT 1");
      started.resolve();
      await tx.query("SELECT pg_sleep(30)");
    }),
  ]);
  await started.promise;
  wire.fallSilent();
  const stoppedAt = performance.now();
  caller.abort("stop");
  for (const call of await calls) expect(call).toEqual({ status: "rejected", reason: "stop" });
  const ms = performance.now() - stoppedAt;
  expect(ms).toBeLessThan(3_000);
  wire.speakAgain();
  await Promise.all([1, 2].map(() => database.query(undefined, "SELECT 1")));
});

test("a cancel request that overtakes its statement is made again", async () => {
  await using wire = await Wire.to(postgres.port);
  await using database = await open(postgres.url("outage", wire.port), { poolSize: 1 });
  await Promise.all([database.ping(), database.query(undefined, "SELECT 1")]);
  wire.delay("pg_sleep(30)", 100);
  const caller = new AbortController();
  const call = Promise.allSettled([database.query(caller.signal, "SELECT pg_sleep(30)")]);
  await database.ping();
  const stoppedAt = performance.now();
  caller.abort("stop");
  expect(await call).toEqual([{ status: "rejected", reason: "stop" }]);
  expect(performance.now() - stoppedAt).toBeLessThan(1_500);
});

test("a process that dies takes its statements and locks with it", async () => {
  await using observer = await open(postgres.url("outage"));
  await using wire = await Wire.to(postgres.port);
  await using database = await open(postgres.url("outage", wire.port));
  await observer.prisma.account.create({ data: { id: "held", balance: 1n } });
  const ended = Promise.allSettled([
    database.transaction(undefined, async (tx) => {
      await tx.account.update({ where: { id: "held" }, data: { balance: 2n } });
      await tx.query("SELECT pg_sleep(30), 'dying'");
    }),
  ]);
  const dying = `SELECT FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE '%''dying''%' AND pid <> pg_backend_pid()`;
  await expect.poll(() => observer.query(undefined, dying), { interval: 10 }).toHaveLength(1);
  wire.cut();
  await ended;
  await observer.transaction(
    undefined,
    (tx) => tx.account.update({ where: { id: "held" }, data: { balance: 3n } }),
    { timeoutMs: 3_000 },
  );
});
