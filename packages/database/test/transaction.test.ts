import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sqlStateOf, type OutboxRow } from "../src/index.js";
import { open, TestPostgres, type TestDatabase } from "./postgres.js";

let postgres: TestPostgres;
let database: TestDatabase;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  database = await open(await postgres.createShop("transaction"), { poolSize: 4 });
});

beforeEach(async () => {
  await database.query(undefined, "TRUNCATE account, entry, outbox");
  await database.prisma.account.createMany({
    data: [
      { id: "a", balance: 100n },
      { id: "b", balance: 100n },
    ],
  });
});

afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

function event(aggregateId: string, version: number, rest: Partial<OutboxRow> = {}): OutboxRow {
  return {
    id: randomUUID(),
    aggregateType: "account",
    aggregateId,
    version,
    type: "shop.v1.Moved",
    payload: Buffer.from([version, 0, 255]),
    ...rest,
  };
}

const balanceOf = async (id: string) =>
  (await database.prisma.account.findUniqueOrThrow({ where: { id } })).balance;

test("models, raw queries, query and emit share one transaction, and listeners hear of it", async () => {
  let heard = 0;
  using _listening = database.onCommit(() => heard++);
  const createTime = new Date("2026-01-02T03:04:05.678Z");
  const result = await database.transaction(undefined, async (tx) => {
    const pids = [
      ...(await tx.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`),
      ...(await tx.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")),
    ];
    await tx.account.update({ where: { id: "a" }, data: { balance: { decrement: 1n } } });
    tx.emit(event("a", 1, { headers: { "ce-source": 'quo"ted,{}\\' }, createTime }));
    tx.emit(event("a", 2));
    expect(heard).toBe(0);
    return new Set(pids.map((row) => row.pid)).size;
  });
  expect(result).toBe(1);
  expect(await balanceOf("a")).toBe(99n);
  const rows = await database.query(
    undefined,
    `SELECT version, payload, headers, create_time = $1 AS given, now() - create_time < '1 min' AS fresh
     FROM outbox ORDER BY sequence`,
    [createTime],
  );
  expect(rows).toEqual([
    {
      version: 1n,
      payload: Buffer.from([1, 0, 255]),
      headers: { "ce-source": 'quo"ted,{}\\' },
      given: true,
      fresh: false,
    },
    { version: 2n, payload: Buffer.from([2, 0, 255]), headers: {}, given: false, fresh: true },
  ]);
  expect(heard).toBe(1);
});

test("a thousand events are one statement", async () => {
  await database.transaction(undefined, async (tx) => {
    for (let version = 1; version <= 1000; version++) tx.emit(event("a", version));
  });
  const [row] = await database.query(
    undefined,
    "SELECT count(*), count(DISTINCT xmin::text) AS transactions FROM outbox",
  );
  expect(row).toEqual({ count: 1000n, transactions: 1n });
});

test("work that throws leaves nothing behind and tells no listener", async () => {
  let heard = 0;
  using _listening = database.onCommit(() => heard++);
  const refused = database.transaction(undefined, async (tx) => {
    await tx.account.delete({ where: { id: "a" } });
    tx.emit(event("a", 1));
    throw new Error("out of stock");
  });
  await expect(refused).rejects.toThrow("out of stock");
  expect(await balanceOf("a")).toBe(100n);
  expect(await database.query(undefined, "SELECT FROM outbox")).toEqual([]);
  expect(heard).toBe(0);
});

test("a version that is taken fails the whole transaction", async () => {
  await database.transaction(undefined, async (tx) => tx.emit(event("a", 1)));
  const second = database.transaction(undefined, async (tx) => {
    await tx.account.delete({ where: { id: "a" } });
    tx.emit(event("a", 1));
  });
  expect(sqlStateOf(await second.catch((error: unknown) => error))).toBe("23505");
  expect(await balanceOf("a")).toBe(100n);
});

test("a swallowed failure does not pass for a commit", async () => {
  const pretending = database.transaction(undefined, async (tx) => {
    await tx.account.delete({ where: { id: "a" } });
    await tx.query("SELECT 1 / 0").catch(() => undefined);
  });
  await expect(pretending).rejects.toThrow("COMMIT with ROLLBACK");
  await expect(pretending).rejects.toThrow("division by zero");
  expect(await balanceOf("a")).toBe(100n);
});

test("two transactions that deadlock are both done in the end", async () => {
  const runs = { ab: 0, ba: 0 };
  const bothHoldOne = Promise.withResolvers<void>();
  let holding = 0;
  const move = (name: "ab" | "ba", from: string, to: string) =>
    database.transaction(undefined, async (tx) => {
      runs[name] += 1;
      await tx.account.update({ where: { id: from }, data: { balance: { decrement: 10n } } });
      if (++holding === 2) bothHoldOne.resolve();
      await bothHoldOne.promise;
      await tx.account.update({ where: { id: to }, data: { balance: { increment: 10n } } });
      tx.emit(event(name, 1));
    });
  await Promise.all([move("ab", "a", "b"), move("ba", "b", "a")]);
  expect(runs.ab + runs.ba).toBe(3);
  expect([await balanceOf("a"), await balanceOf("b")]).toEqual([100n, 100n]);
  expect(await database.query(undefined, "SELECT FROM outbox")).toHaveLength(2);
});

test.each(["RepeatableRead", "Serializable"] as const)(
  "counters under %s lose no update, with Prisma and with raw SQL",
  async (isolationLevel) => {
    let runs = 0;
    // Two have read the same balance before either writes, so at least one has to start over.
    const bothRead = Promise.withResolvers<void>();
    const add = (raw: boolean) =>
      database.transaction(
        undefined,
        async (tx) => {
          const { balance } = await tx.account.findUniqueOrThrow({ where: { id: "a" } });
          if (++runs === 2) bothRead.resolve();
          await bothRead.promise;
          if (raw) await tx.query("UPDATE account SET balance = $1 WHERE id = 'a'", [balance + 1n]);
          else await tx.account.update({ where: { id: "a" }, data: { balance: balance + 1n } });
        },
        { isolationLevel, attempts: 50 },
      );
    await Promise.all(Array.from({ length: 12 }, (_, i) => add(i % 2 === 0)));
    expect(await balanceOf("a")).toBe(112n);
    expect(runs).toBeGreaterThan(12);
  },
);

test("write skew that only COMMIT finds starts over too", async () => {
  let runs = 0;
  const bothRead = Promise.withResolvers<void>();
  const withdraw = (id: string) =>
    database.transaction(
      undefined,
      async (tx) => {
        const [row] = await tx.query<{ sum: string }>("SELECT sum(balance) FROM account");
        if (++runs === 2) bothRead.resolve();
        await bothRead.promise;
        if (Number(row?.sum) < 200) throw new Error("too little left");
        await tx.query("UPDATE account SET balance = balance - 100 WHERE id = $1", [id]);
      },
      { isolationLevel: "Serializable" },
    );
  const outcomes = await Promise.allSettled([withdraw("a"), withdraw("b")]);
  expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(runs).toBe(3);
});

test("a COMMIT that is refused costs no connection", async () => {
  await using own = await open(postgres.url("transaction"), { poolSize: 1 });
  await own.query(
    undefined,
    "CREATE TABLE late (id INT, CONSTRAINT one UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)",
  );
  const pid = () => own.query(undefined, "SELECT pg_backend_pid()");
  const before = await pid();
  const refused = own.transaction(undefined, (tx) => tx.query("INSERT INTO late VALUES (1), (1)"));
  expect(sqlStateOf(await refused.catch((error: unknown) => error))).toBe("23505");
  expect(await pid()).toEqual(before);
});

test("a transaction that Prisma opens by itself inside the work is another one", async () => {
  const refused = database.transaction(undefined, async (tx) => {
    await tx.account.delete({ where: { id: "a" } });
    await database.prisma.account.create({
      data: { id: "c", balance: 1n, entries: { create: [{ amount: 1n }, { amount: 2n }] } },
    });
    throw new Error("only the outer one");
  });
  await expect(refused).rejects.toThrow("only the outer one");
  expect(await database.prisma.account.count()).toBe(3);
});

test("starting over ends after the given number of attempts with Postgres' own error", async () => {
  let runs = 0;
  const hopeless = database.transaction(
    undefined,
    async (tx) => {
      runs += 1;
      await tx.query("DO $$ BEGIN RAISE serialization_failure; END $$");
    },
    { attempts: 3 },
  );
  expect(sqlStateOf(await hopeless.catch((error: unknown) => error))).toBe("40001");
  expect(runs).toBe(3);
});

test("the server knows the time that is left", async () => {
  const work = (tx: Parameters<Parameters<TestDatabase["transaction"]>[1]>[0]) =>
    tx.query<{ ms: number; idle: string }>(
      `SELECT extract(epoch FROM current_setting('statement_timeout')::interval)::float8 * 1000 AS ms,
              current_setting('idle_in_transaction_session_timeout') AS idle`,
    );
  const [short] = await database.transaction(undefined, work, { timeoutMs: 700 });
  expect(short?.ms).toBeGreaterThan(500);
  expect(short?.ms).toBeLessThanOrEqual(700);
  const [standard] = await database.transaction(undefined, work);
  expect(standard?.ms).toBeGreaterThan(29_000);
  expect(standard?.idle).not.toBe("0");
  const [after] = await database.query(undefined, "SHOW statement_timeout");
  expect(after).toEqual({ statement_timeout: "30s" });
});

test("a transaction out of time rejects with a TimeoutError and holds no lock", async () => {
  const started = performance.now();
  const late = database.transaction(
    undefined,
    async (tx) => {
      await tx.account.delete({ where: { id: "a" } });
      await tx.$queryRaw`SELECT pg_sleep(30)::text`;
    },
    { timeoutMs: 150 },
  );
  await expect(late).rejects.toMatchObject({ name: "TimeoutError" });
  expect(performance.now() - started).toBeLessThan(1_000);
  await database.query(undefined, "UPDATE account SET balance = 1 WHERE id = 'a'");
});

test("a listener that throws harms neither the transaction nor the other listeners", async () => {
  const reported: Error[] = [];
  let heard = 0;
  await using own = await open(postgres.url("transaction"), {
    onCommit: () => {
      throw new Error("listener");
    },
    onError: (error) => reported.push(error),
  });
  const listening = own.onCommit(() => heard++);
  await own.transaction(undefined, async (tx) => tx.emit(event("a", 1)));
  listening[Symbol.dispose]();
  await own.transaction(undefined, async (tx) => tx.emit(event("a", 2)));
  expect(heard).toBe(1);
  expect(reported.map((error) => error.message)).toEqual(["listener", "listener"]);
});
