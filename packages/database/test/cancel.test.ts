import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sqlStateOf } from "../src/index.js";
import { open, TestPostgres, type TestDatabase } from "./postgres.js";

let postgres: TestPostgres;
let database: TestDatabase;
let observer: TestDatabase;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  const url = await postgres.createShop("cancel");
  database = await open(url, { poolSize: 10, applicationName: "callers" });
  observer = await open(url, { poolSize: 1, applicationName: "observer" });
  await database.prisma.account.create({ data: { id: "a", balance: 100n } });
});

afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await observer[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

/** Resolves when the observer sees this many statements of the callers at work. */
async function untilActive(count: number, like: string): Promise<void> {
  while ((await active(like)) !== count) await sleep(5);
}

async function active(like: string): Promise<number> {
  const rows = await observer.query(
    undefined,
    "SELECT FROM pg_stat_activity WHERE application_name = 'callers' AND state = 'active' AND query LIKE $1",
    [like],
  );
  return rows.length;
}

async function locks(): Promise<number> {
  const rows = await observer.query(
    undefined,
    `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = 'callers'`,
  );
  return rows.length;
}

test("200 calls in pg_sleep(30), stopped in every way, are gone from Postgres within 500 ms", async () => {
  const caller = new AbortController();
  const reason = new Error("the caller hung up");
  const calls = Array.from({ length: 200 }, (_, i) => {
    if (i % 4 === 0) return database.query(caller.signal, "SELECT pg_sleep(30)");
    return database.transaction(
      i % 4 === 1 ? undefined : caller.signal,
      async (tx) => {
        await tx.query("SELECT FROM account WHERE id = 'a' FOR KEY SHARE");
        if (i % 2 === 0) await tx.$queryRaw`SELECT pg_sleep(30)::text`;
        else await tx.query("SELECT pg_sleep(30)");
      },
      i % 4 === 1 ? { timeoutMs: 250 } : {},
    );
  });
  const ended = Promise.allSettled(calls);
  await untilActive(10, "%pg_sleep(30)%");
  const stoppedAt = performance.now();
  caller.abort(reason);
  const outcomes = await ended;
  expect(await active("%pg_sleep%")).toBe(0);
  expect(await locks()).toBe(0);
  const goneMs = performance.now() - stoppedAt;
  expect(goneMs).toBeLessThan(500);
  const reasons = outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason);
  expect(reasons.filter((one) => one === reason)).toHaveLength(150);
  expect(
    reasons.filter((one) => one instanceof DOMException && one.name === "TimeoutError"),
  ).toHaveLength(50);
});

test("the next users of the connections never see a cancellation, whenever it comes", async () => {
  let stopped = 0;
  let finished = 0;
  const states = new Map<string, number>();
  const short = async (round: number) => {
    const caller = new AbortController();
    const timer = setTimeout(() => caller.abort(new Error("stop")), Math.random() * 12);
    try {
      if (round % 3 === 0) {
        await database.transaction(caller.signal, async (tx) => {
          await tx.query("UPDATE account SET balance = balance WHERE id = 'a'");
          await tx.query("SELECT pg_sleep(0.001)");
        });
      } else await database.query(caller.signal, "SELECT pg_sleep(0.002)");
      finished += 1;
    } catch (error) {
      if (error !== caller.signal.reason) throw error;
      stopped += 1;
    } finally {
      clearTimeout(timer);
    }
  };
  const bystander = async () => {
    await database.query(undefined, "SELECT pg_sleep(0.001)").catch((error: unknown) => {
      const state = sqlStateOf(error) ?? String(error);
      states.set(state, (states.get(state) ?? 0) + 1);
    });
  };
  const worker = async () => {
    for (let round = 0; round < 80; round++) {
      await short(round);
      await bystander();
    }
  };
  await Promise.all(Array.from({ length: 12 }, worker));
  expect(states).toEqual(new Map());
  expect(stopped).toBeGreaterThan(100);
  expect(finished).toBeGreaterThan(100);
  expect(await locks()).toBe(0);
});

test("a caller who waits for a connection leaves the queue at once", async () => {
  const holders = new AbortController();
  const busy = Promise.allSettled(
    Array.from({ length: 10 }, () =>
      database.query(holders.signal, "SELECT pg_sleep(30), 'holder'"),
    ),
  );
  await untilActive(10, "%'holder'%");
  const impatient = new AbortController();
  let ran = false;
  const waiting = Promise.allSettled([
    database.query(impatient.signal, "SELECT 1"),
    database.transaction(impatient.signal, async () => void (ran = true)),
    database.transaction(undefined, async () => void (ran = true), { timeoutMs: 20 }),
  ]);
  const patient = database.query(undefined, "SELECT 'patient' AS who");
  const left = performance.now();
  impatient.abort("gone");
  const [first, second, third] = await waiting;
  expect(first).toEqual({ status: "rejected", reason: "gone" });
  expect(second).toEqual(first);
  expect(third).toMatchObject({ status: "rejected", reason: { name: "TimeoutError" } });
  expect(performance.now() - left).toBeLessThan(200);
  expect(ran).toBe(false);
  holders.abort("done");
  expect(await patient).toEqual([{ who: "patient" }]);
  await busy;
});

test("a signal that has fired already costs no connection", async () => {
  const signal = AbortSignal.abort("early");
  await expect(database.query(signal, "SELECT 1")).rejects.toBe("early");
  await expect(database.transaction(signal, async () => 1)).rejects.toBe("early");
  await expect(database.ping(signal)).rejects.toBe("early");
});

test("a stopped transaction lets go of its locks while its work still waits for something else", async () => {
  const caller = new AbortController();
  const outside = Promise.withResolvers<void>();
  let later: unknown;
  const held = Promise.withResolvers<void>();
  const transaction = database.transaction(caller.signal, async (tx) => {
    await tx.account.update({ where: { id: "a" }, data: { balance: 5n } });
    held.resolve();
    await outside.promise;
    later = await tx.query("SELECT 1").catch((error: unknown) => error);
  });
  await held.promise;
  caller.abort("stop");
  await expect(transaction).rejects.toBe("stop");
  await database.query(undefined, "UPDATE account SET balance = 6 WHERE id = 'a'");
  outside.resolve();
  await expect.poll(() => later).toBeInstanceOf(Error);
  const [row] = await database.query(undefined, "SELECT balance FROM account WHERE id = 'a'");
  expect(row).toEqual({ balance: 6n });
});

test("a transaction waiting for a row lock can be stopped", async () => {
  const caller = new AbortController();
  await database.transaction(undefined, async (tx) => {
    await tx.account.update({ where: { id: "a" }, data: { balance: 7n } });
    const blocked = database.transaction(caller.signal, (other) =>
      other.account.update({ where: { id: "a" }, data: { balance: 8n } }),
    );
    await untilActive(1, "UPDATE%account%");
    caller.abort("stop");
    await expect(blocked).rejects.toBe("stop");
  });
  const [row] = await database.query(undefined, "SELECT balance FROM account WHERE id = 'a'");
  expect(row).toEqual({ balance: 7n });
});

test("a stop around COMMIT either rejects and leaves nothing, or resolves and all is there", async () => {
  const outcomes = new Set<string>();
  for (let steps = 0; steps < 120; steps++) {
    const id = `stop-${steps}`;
    const caller = new AbortController();
    const outcome = await database
      .transaction(caller.signal, async (tx) => {
        await tx.account.create({ data: { id, balance: 0n } });
        void (async () => {
          for (let step = 0; step < steps; step++) await Promise.resolve();
          caller.abort("stop");
        })();
      })
      .then(
        () => "resolved",
        (reason: unknown) => reason,
      );
    outcomes.add(String(outcome));
    const rows = await database.query(undefined, "SELECT FROM account WHERE id = $1", [id]);
    expect([outcome, rows.length]).toEqual(outcome === "resolved" ? ["resolved", 1] : ["stop", 0]);
  }
  expect([...outcomes]).toEqual(["stop", "resolved"]);
});

test("a stop while COMMIT runs does not cancel it", async () => {
  await database.query(
    undefined,
    `CREATE FUNCTION think() RETURNS TRIGGER LANGUAGE plpgsql AS
     $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$`,
  );
  await database.query(
    undefined,
    `CREATE CONSTRAINT TRIGGER thoughtful AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED
     FOR EACH ROW EXECUTE FUNCTION think()`,
  );
  const caller = new AbortController();
  const transaction = database.transaction(caller.signal, (tx) =>
    tx.entry.create({ data: { accountId: "a", amount: 1n } }),
  );
  await untilActive(1, "COMMIT");
  caller.abort("stop");
  const { id } = await transaction;
  expect(await database.prisma.entry.count({ where: { id } })).toBe(1);
});

test("no listener stays on a signal that outlives its calls", async () => {
  const process = new AbortController();
  let listeners = 0;
  const { signal } = process;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (
    listeners--,
    remove(...args)
  );
  await Promise.all(Array.from({ length: 30 }, () => database.query(signal, "SELECT 1")));
  await Promise.all(
    Array.from({ length: 30 }, () => database.transaction(signal, (tx) => tx.query("SELECT 1"))),
  );
  expect(listeners).toBe(0);
});

test("closing stops what runs and what waits, and leaves no connection", async () => {
  const own = await open(postgres.url("cancel"), { poolSize: 2, applicationName: "callers" });
  const running = Promise.allSettled([
    own.query(undefined, "SELECT pg_sleep(30), 'closing'"),
    own.transaction(undefined, (tx) => tx.query("SELECT pg_sleep(30), 'closing'")),
    own.query(undefined, "SELECT 'waiting'"),
  ]);
  await untilActive(2, "%'closing'%");
  await own[Symbol.asyncDispose]();
  for (const outcome of await running) {
    expect(outcome).toMatchObject({ reason: { message: "the database was closed" } });
  }
  expect(await active("%'closing'%")).toBe(0);
  await expect(own.query(undefined, "SELECT 1")).rejects.toThrow("the database was closed");
});
