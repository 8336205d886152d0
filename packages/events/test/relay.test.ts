import { afterAll, beforeAll, expect, test } from "vitest";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { effects, FULL, LIMIT_MS, stockChanged, TestShop, until } from "./shop.js";

let postgres: TestPostgres;
let nats: TestNats;

beforeAll(async () => {
  [postgres, nats] = await Promise.all([TestPostgres.start(), TestNats.start()]);
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

const aggregates = Array.from({ length: 40 }, (_, nr) => `rsv_${nr}`);

function waiting(shop: TestShop): Promise<number> {
  return shop.count("outbox WHERE publish_time IS NULL");
}

async function leastFence(shop: TestShop): Promise<bigint> {
  const sql = "SELECT min(fence) AS fence FROM outbox_lane";
  const found = await shop.database.query<{ fence: bigint }>(undefined, sql);
  return found[0]!.fence;
}

test("what a transaction emits reaches a consumer's handler", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects());
  await shop.emit(["rsv_1", 1], ["rsv_2", 1]);
  await until(async () => (await shop.count("effect")) === 2);
  await shop.emit(["rsv_1", 2]);
  await until(async () => (await shop.count("effect")) === 3);
  expect(await shop.versions()).toEqual({ rsv_1: [1, 2], rsv_2: [1] });
  await until(async () => (await waiting(shop)) === 0);
});

test("a process starts while NATS is away, waits for it, and survives its next absence", async () => {
  await using away = await TestNats.away();
  await using shop = await TestShop.open(postgres, away);
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects());
  await shop.emit(["rsv_1", 1]);
  expect(events.ready()).toBe(false);
  await away.start();
  await until(async () => (await shop.count("effect")) === 1);
  expect(events.ready()).toBe(true);
  await away.stop();
  await until(() => !events.ready());
  await shop.emit(["rsv_1", 2]);
  await away.start();
  await until(async () => (await shop.count("effect")) === 2);
});

test("another replica's relay publishes what a process without one commits", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const replica = await shop.mortal();
  replica.startRelay();
  await using _consumer = await replica.consume(effects());
  await shop.emit(["rsv_1", 1]);
  await until(async () => (await shop.count("effect")) === 1);
});

test(
  "a transaction that stays open while many commit is published once it commits (R4)",
  async () => {
    await using shop = await TestShop.open(postgres, nats);
    const events = await shop.process();
    events.startRelay();
    const [openMs, others] = FULL ? [10_000, 5_000] : [1_500, 500];
    const late = shop.database.transaction(undefined, async (tx) => {
      // Its row, with its id and its time, is there before the others, and seen after them.
      const { id, aggregateType, aggregateId, type, payload } = stockChanged("late_1", 1);
      await tx.query(
        `INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
       VALUES ($1, $2, $3, 1, $4, $5)`,
        [id, aggregateType, aggregateId, type, payload],
      );
      await new Promise((resolve) => setTimeout(resolve, openMs));
    });
    for (let nr = 0; nr < others; nr += 10) {
      await shop.emit(...Array.from({ length: 10 }, (_, at) => [`rsv_${nr + at}`, 1] as const));
    }
    await late;
    const committed = performance.now();
    await until(async () => (await waiting(shop)) === 0);
    // Nothing pokes the relay for this row: it was not written by `emit`.
    // How quick is a figure of the proof; a machine that runs all tests at once says nothing of it.
    if (FULL) expect(performance.now() - committed).toBeLessThan(1_500);
    expect((await shop.stream()).state.messages).toBe(others + 1);
  },
  LIMIT_MS,
);

test(
  "a relay that stood still between acknowledgement and mark changes nothing (R2)",
  async () => {
    await using shop = await TestShop.open(postgres, nats);
    const stream = { duplicateWindowMs: 2_000 };
    const stopped = await shop.mortal({ stream });
    const other = await shop.mortal({ stream });
    await using _consumer = await other.consume(effects());
    stopped.startRelay();
    other.startRelay();
    // Each has taken every lane once, to compare the stream, before the first of them is stopped.
    await until(async () => (await leastFence(shop)) >= 2n);
    let version = 0;
    for (let round = 0; round < (FULL ? 50 : 1); round++) {
      const before = stopped.mortal.passed["relay.published"] ?? 0;
      stopped.mortal.stop("relay.published", 5_000);
      while ((stopped.mortal.passed["relay.published"] ?? 0) === before) {
        version += 1;
        await shop.emit(...aggregates.map((id) => [id, version] as const));
        await until(async () => (await waiting(shop)) < aggregates.length);
      }
      await until(async () => (await waiting(shop)) === 0);
    }
    await until(async () => (await shop.count("effect")) === aggregates.length * version);
    const { messages } = (await shop.stream()).state;
    expect(messages).toBeGreaterThan(aggregates.length * version);
    const versions = Array.from({ length: version }, (_, at) => at + 1);
    expect(await shop.versions()).toEqual(
      Object.fromEntries(aggregates.map((id) => [id, versions])),
    );
  },
  LIMIT_MS,
);

test("rows older than the retention go, unpublished ones stay", async () => {
  await using shop = await TestShop.open(postgres, nats);
  await using away = await TestNats.away();
  const old = (aggregateId: string, published: boolean) =>
    shop.database.query(
      undefined,
      `INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload, create_time, publish_time)
       VALUES (('01900000-0000-7000-8000-' || $1)::uuid, 'rsv', $1, 1, 'a.v1.B', '', '2024-06-09', CASE WHEN $2 THEN '2024-06-10'::timestamptz END)`,
      [aggregateId, published],
    );
  await old("000000000001", true);
  await old("000000000002", false);
  const events = await shop.process({ servers: away.url });
  events.startRelay();
  await shop.emit(["rsv_1", 1]);
  await until(async () => (await shop.count("outbox")) === 2);
  expect(await waiting(shop)).toBe(2);
});
