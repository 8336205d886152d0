import { afterAll, beforeAll, expect, test } from "vitest";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { effects, FULL, LIMIT_MS, TestShop, until } from "./shop.js";

const AGGREGATES = FULL ? 500 : 20;
const ROUNDS = FULL ? 20 : 5;
/** What the promise gives them until everything is taken in that the stream lost. */
const CATCH_UP_MS = 30_000;

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
});

function round(version: number) {
  return Array.from({ length: AGGREGATES }, (_, nr) => [`rsv_${nr}`, version] as const);
}

async function expectAllOnce(shop: TestShop, rounds: number): Promise<void> {
  await until(async () => (await shop.count("effect")) >= AGGREGATES * rounds);
  const versions = Array.from({ length: rounds }, (_, at) => at + 1);
  expect(await shop.versions()).toEqual(Object.fromEntries(round(1).map(([id]) => [id, versions])));
}

/** In time, where the proof runs in its full form and not beside all other tests. */
async function expectCaughtUp(shop: TestShop, rounds: number): Promise<void> {
  const startedMs = performance.now();
  await expectAllOnce(shop, rounds);
  if (FULL) expect(performance.now() - startedMs).toBeLessThan(CATCH_UP_MS);
}

test(
  "a wiped store is filled again, and no effect is lost or doubled (R1)",
  async () => {
    await using nats = await TestNats.start();
    await using shop = await TestShop.open(postgres, nats);
    const events = await shop.process();
    events.startRelay();
    await using _consumer = await events.consume(effects());
    for (let version = 1; version <= ROUNDS; version++) await shop.emit(...round(version));
    // Wiped in the middle of it: some taken in, some only published, some neither.
    await until(async () => (await shop.count("effect")) > AGGREGATES);
    await nats.stop();
    await nats.wipe();
    await shop.emit(...round(ROUNDS + 1));
    await nats.start();
    await expectCaughtUp(shop, ROUNDS + 1);
    await until(async () => (await shop.stream()).state.messages === AGGREGATES * (ROUNDS + 1));
  },
  LIMIT_MS,
);

test(
  "an end that was cut off is published again, with the consumers behind it (R1)",
  async () => {
    await using nats = await TestNats.start();
    await using shop = await TestShop.open(postgres, nats);
    const events = await shop.process();
    events.startRelay();
    await using _consumer = await events.consume(effects());
    await shop.emit(...round(1));
    await expectAllOnce(shop, 1);
    await nats.stop();
    await nats.save();
    await nats.start();
    for (let version = 2; version <= ROUNDS; version++) await shop.emit(...round(version));
    await until(async () => (await shop.count("outbox WHERE publish_time IS NULL")) === 0);
    const before = await shop.stream();
    await nats.stop();
    await nats.restore();
    await shop.emit(...round(ROUNDS + 1));
    await nats.start();
    await expectCaughtUp(shop, ROUNDS + 1);
    const after = await shop.stream();
    expect(after.created).toBe(before.created);
    expect(after.config.metadata?.["emporium-fork"]).toBe("1");
  },
  LIMIT_MS,
);

test("a stream that is whole is not published again", async () => {
  await using nats = await TestNats.start();
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await shop.emit(...round(1));
  await until(async () => (await shop.count("outbox WHERE publish_time IS NULL")) === 0);
  const { messages } = (await shop.stream()).state;
  await nats.stop();
  await nats.start();
  await until(() => events.ready());
  await shop.emit(["last_1", 1]);
  await until(async () => (await shop.count("outbox WHERE publish_time IS NULL")) === 0);
  expect((await shop.stream()).state.messages).toBe(messages + 1);
});
