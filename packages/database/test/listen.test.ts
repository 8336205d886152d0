import { afterAll, beforeAll, expect, test } from "vitest";
import { open, TestPostgres, type TestDatabase } from "./postgres.js";
import { Wire } from "./wire.js";

let postgres: TestPostgres;
let database: TestDatabase;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  database = await open(await postgres.createShop("listen"));
});

afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

/** Counts calls, and lets a test wait for the nth. */
class Bell {
  rung = 0;
  #waiting: { count: number; resolve: () => void }[] = [];

  readonly ring = (): void => {
    this.rung += 1;
    for (const { count, resolve } of this.#waiting) if (this.rung >= count) resolve();
  };

  async times(count: number): Promise<void> {
    if (this.rung >= count) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ count, resolve });
    await promise;
  }
}

test("a listener hears of its channel, and of no other", async () => {
  const bell = new Bell();
  await using _listening = database.listen('out"box', bell.ring);
  await bell.times(1);
  database.notify("another");
  database.notify('out"box');
  await bell.times(2);
  expect(bell.rung).toBe(2);
});

test("a thousand notifications in a row are few on the wire, and the last one is not lost", async () => {
  const bell = new Bell();
  await using _listening = database.listen("busy", bell.ring);
  await bell.times(1);
  const started = performance.now();
  for (let i = 0; i < 1000; i++) {
    database.notify("busy");
    if (i % 100 === 0) await database.ping();
  }
  database.notify("busy");
  const afterLast = bell.rung;
  await bell.times(afterLast + 1);
  const heard = bell.rung - 1;
  expect(heard).toBeLessThanOrEqual((performance.now() - started) / 10 + 2);
});

test("a listener that lost its connection listens again and is told that it may have missed something", async () => {
  await using wire = await Wire.to(postgres.port);
  const reported: Error[] = [];
  await using far = await open(postgres.url("listen", wire.port), {
    onError: (error) => reported.push(error),
  });
  const bell = new Bell();
  await using _listening = far.listen("outbox", bell.ring);
  await bell.times(1);
  wire.cut();
  await bell.times(2);
  database.notify("outbox");
  await bell.times(3);
  expect(reported).not.toEqual([]);
});

test("a listener waits for a Postgres that is not up yet", async () => {
  await postgres.stop();
  const bell = new Bell();
  await using _listening = database.listen("late", bell.ring);
  database.notify("late");
  await expect(database.ping()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(bell.rung).toBe(0);
  await postgres.start();
  await bell.times(1);
});

test("an aborted signal and disposal both end the listening and its connection", async () => {
  const caller = new AbortController();
  const bell = new Bell();
  database.listen("one", bell.ring, caller.signal);
  const two = database.listen("two", bell.ring);
  await bell.times(2);
  caller.abort();
  await two[Symbol.asyncDispose]();
  await expect
    .poll(() =>
      database.query(undefined, "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"),
    )
    .toEqual([]);
});

test("a listener that throws is reported and goes on", async () => {
  const reported: Error[] = [];
  await using own = await open(postgres.url("listen"), {
    onError: (error) => reported.push(error),
  });
  const bell = new Bell();
  await using _listening = own.listen("throws", () => {
    bell.ring();
    throw new Error(`call ${bell.rung}`);
  });
  await bell.times(1);
  own.notify("throws");
  await bell.times(2);
  expect(reported.map((error) => error.message)).toEqual(["call 1", "call 2"]);
});
