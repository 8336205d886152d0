import { afterAll, beforeAll, expect, test } from "vitest";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { effects, FULL, LIMIT_MS, TestShop, until } from "./shop.js";

const AGGREGATES = 50;
const VERSIONS = FULL ? 400 : 60;

let postgres: TestPostgres;
let nats: TestNats;

beforeAll(async () => {
  [postgres, nats] = await Promise.all([TestPostgres.start(), TestNats.start()]);
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

test(
  "each aggregate's versions come in order, however often relays die (R3)",
  async () => {
    await using shop = await TestShop.open(postgres, nats);
    const reader = await shop.process();
    await using _consumer = await reader.consume(effects());
    const alive = await Promise.all([shop.mortal(), shop.mortal(), shop.mortal()]);
    for (const relay of alive) relay.startRelay();

    const done = new AbortController();
    const killing = (async () => {
      while (!done.signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        await alive.shift()!.crash();
        const successor = await shop.mortal();
        successor.startRelay();
        alive.push(successor);
      }
    })();
    for (let version = 1; version <= VERSIONS; version++) {
      await shop.emit(
        ...Array.from({ length: AGGREGATES }, (_, nr) => [`rsv_${nr}`, version] as const),
      );
    }
    await until(async () => (await shop.count("effect")) >= AGGREGATES * VERSIONS);
    done.abort();
    await killing;
    const inOrder = Array.from({ length: VERSIONS }, (_, at) => at + 1);
    const versions = await shop.versions();
    expect(Object.keys(versions)).toHaveLength(AGGREGATES);
    for (const seen of Object.values(versions)) expect(seen).toEqual(inOrder);
  },
  LIMIT_MS,
);

test("a poison event delays its own aggregate and no other (R3)", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  let healed = false;
  const poison = (id: string, version: bigint): void => {
    if (id === "rsv_0" && version === 2n && !healed) throw new Error("poison");
  };
  const patient = { ...effects(poison), backoffMs: Array.from({ length: 50 }, () => 100) };
  await using _consumer = await events.consume(patient);
  for (let version = 1; version <= 5; version++) {
    await shop.emit(...Array.from({ length: 20 }, (_, nr) => [`rsv_${nr}`, version] as const));
  }
  await until(async () => (await shop.count("effect")) === 19 * 5 + 1);
  expect((await shop.versions())["rsv_0"]).toEqual([1]);
  healed = true;
  await until(async () => (await shop.count("effect")) === 100);
  expect((await shop.versions())["rsv_0"]).toEqual([1, 2, 3, 4, 5]);
});

test("two processes share a consumer and keep the order", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const [one, other] = [await shop.mortal(), await shop.mortal()];
  await using _first = await one.consume(effects());
  await using _second = await other.consume(effects());
  one.startRelay();
  for (let version = 1; version <= 20; version++) {
    await shop.emit(...Array.from({ length: 10 }, (_, nr) => [`rsv_${nr}`, version] as const));
  }
  await until(async () => (await shop.count("effect")) === 200);
  const inOrder = Array.from({ length: 20 }, (_, at) => at + 1);
  for (const seen of Object.values(await shop.versions())) expect(seen).toEqual(inOrder);
  expect(one.mortal.passed["consumer.applied"]).toBeGreaterThan(0);
  expect(other.mortal.passed["consumer.applied"]).toBeGreaterThan(0);
});

test("a consumer made later begins where the stream still has an aggregate's events", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const stream = { maxAgeMs: 1_000, duplicateWindowMs: 500 };
  const events = await shop.process({ stream });
  events.startRelay();
  await shop.emit(["rsv_1", 1], ["rsv_1", 2]);
  await until(async () => (await shop.count("outbox WHERE publish_time IS NULL")) === 0);
  await until(async () => (await shop.stream()).state.messages === 0);
  await using _consumer = await events.consume(effects());
  await shop.emit(["rsv_1", 3], ["rsv_2", 1]);
  await shop.emit(["rsv_1", 4]);
  await until(async () => (await shop.count("effect")) === 3);
  expect(await shop.versions()).toEqual({ rsv_1: [3, 4], rsv_2: [1] });
});
