import { afterAll, beforeAll, expect, test } from "vitest";
import { StockChangedSchema } from "@emporium/contracts/inventory/v1";
import { UnreadablePayloadError } from "../src/handler.js";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { effects, FULL, LIMIT_MS, TestShop, until, type TestEvents } from "./shop.js";

let postgres: TestPostgres;
let nats: TestNats;

beforeAll(async () => {
  [postgres, nats] = await Promise.all([TestPostgres.start(), TestNats.start()]);
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

async function letters(events: TestEvents) {
  return Array.fromAsync(events.deadLetters.list());
}

const isPoison = (id: string): boolean => id.startsWith("poison");

test(
  "poison becomes dead letters, one each, and effects after a redrive (R12)",
  async () => {
    await using shop = await TestShop.open(postgres, nats);
    const [count, poisonous] = FULL ? [10_000, 100] : [400, 10];
    let healed = false;
    const refuse = (id: string): void => {
      if (isPoison(id) && !healed) throw new Error(`cannot do ${id}`);
    };
    const relay = await shop.process();
    relay.startRelay();
    const alive = await Promise.all([shop.mortal(), shop.mortal()]);
    for (const process of alive) await process.consume(effects(refuse));
    const ids = Array.from({ length: count }, (_, nr) =>
      nr % (count / poisonous) === 3 ? `poison_${nr}` : `rsv_${nr}`,
    );
    for (let at = 0; at < count; at += 50) {
      await shop.emit(...ids.slice(at, at + 50).map((id) => [id, 1] as const));
      if (Math.random() > 0.25) continue;
      await alive.shift()!.crash();
      const successor = await shop.mortal();
      await successor.consume(effects(refuse));
      alive.push(successor);
    }
    await until(async () => (await shop.count("effect")) === count - poisonous);
    await until(async () => (await letters(relay)).length === poisonous);
    const [letter] = await letters(relay);
    expect(letter).toMatchObject({
      source: "inventory",
      consumer: "effects",
      reason: "HANDLER_FAILED",
      error: expect.stringContaining("cannot do poison_"),
      meta: { type: StockChangedSchema.typeName, version: 1n },
    });
    expect(await relay.deadLetters.show(letter!)).toEqual(letter);

    healed = true;
    expect(await relay.deadLetters.redrive({ consumer: "effects" })).toBe(poisonous);
    await until(async () => (await letters(relay)).length === 0);
    expect(await shop.count("effect")).toBe(count);
    expect(Object.keys(await shop.versions())).toHaveLength(count);
  },
  LIMIT_MS,
);

test("events behind a dead letter follow it, and come back in order", async () => {
  await using shop = await TestShop.open(postgres, nats);
  let healed = false;
  const refuse = (id: string, version: bigint): void => {
    if (isPoison(id) && version === 2n && !healed) throw new Error("no");
  };
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects(refuse));
  await shop.emit(["poison_1", 1], ["poison_1", 2], ["poison_1", 3]);
  await until(async () => (await letters(events)).length === 2);
  await shop.emit(["poison_1", 4]);
  await until(async () => (await letters(events)).length === 3);
  const dead = await letters(events);
  expect(Object.fromEntries(dead.map(({ meta, reason }) => [meta!.version, reason]))).toEqual({
    2: "HANDLER_FAILED",
    3: "PREDECESSOR_FAILED",
    4: "PREDECESSOR_FAILED",
  });
  healed = true;
  await events.deadLetters.redrive();
  await until(async () => (await letters(events)).length === 0);
  expect(await shop.versions()).toEqual({ poison_1: [1, 2, 3, 4] });
  await shop.emit(["poison_1", 5]);
  await until(async () => (await shop.count("effect")) === 5);
  expect(await shop.count("inbox_failure")).toBe(0);
});

test("a redrive reaches the consumer that failed and no other, once however often it is sent", async () => {
  await using shop = await TestShop.open(postgres, nats);
  let healed = false;
  const refuse = (id: string): void => {
    if (isPoison(id) && !healed) throw new Error("no");
  };
  const events = await shop.process();
  events.startRelay();
  await using _failing = await events.consume(effects(refuse));
  await using _healthy = await events.consume(effects(undefined, "healthy"));
  await shop.emit(["poison_1", 1]);
  await until(async () => (await letters(events)).length === 1);
  expect(await shop.versions("healthy")).toEqual({ poison_1: [1] });
  healed = true;
  await Promise.all([events.deadLetters.redrive(), events.deadLetters.redrive()]);
  await until(async () => (await letters(events)).length === 0);
  await shop.emit(["poison_1", 2]);
  await until(async () => (await shop.count("effect")) === 4);
  expect(await shop.versions()).toEqual({ poison_1: [1, 2] });
  expect(await shop.versions("healthy")).toEqual({ poison_1: [1, 2] });
});

test("a discarded event is passed over, and the next one comes", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const refuse = (id: string, version: bigint): void => {
    if (version === 1n) throw new Error(`never ${id}`);
  };
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects(refuse));
  await shop.emit(["rsv_1", 1]);
  await until(async () => (await letters(events)).length === 1);
  expect(await events.deadLetters.discard(await letters(events))).toBe(1);
  await until(async () => (await letters(events)).length === 0);
  await shop.emit(["rsv_1", 2]);
  await until(async () => (await shop.count("effect")) === 1);
  expect(await shop.versions()).toEqual({ rsv_1: [2] });
});

test("a payload that cannot be read is a dead letter at once", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects());
  await shop.database.query(
    undefined,
    `INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
     VALUES (gen_random_uuid(), 'rsv', 'rsv_1', 1, $1, '\\xffff')`,
    [StockChangedSchema.typeName],
  );
  await until(async () => (await letters(events)).length === 1);
  const [letter] = await letters(events);
  expect(letter).toMatchObject({ reason: "UNREADABLE", attempts: 1 });
  expect(letter!.error).toContain(UnreadablePayloadError.name);
});

test("a redriven event is tried as often as the first time before it is dead again", async () => {
  await using shop = await TestShop.open(postgres, nats);
  let tries = 0;
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(
    effects(() => {
      tries += 1;
      throw new Error("no");
    }),
  );
  await shop.emit(["rsv_1", 1]);
  await until(async () => (await letters(events)).length === 1);
  expect(tries).toBe(3);
  const [first] = await letters(events);
  await events.deadLetters.redrive();
  await until(async () => (await letters(events))[0]!.time > first!.time);
  expect(tries).toBe(6);
  expect(await letters(events)).toMatchObject([{ eventId: first!.eventId, attempts: 3 }]);
});

test("a dead letter is written once by a consumer that died while it wrote it", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const refuse = (): void => {
    throw new Error("no");
  };
  const events = await shop.process();
  events.startRelay();
  const dying = await shop.mortal();
  dying.mortal.dieAt("consumer.buried");
  await dying.consume({ ...effects(refuse), ackWaitMs: 300 });
  await shop.emit(["rsv_1", 1]);
  await until(() => dying.mortal.passed["consumer.buried"] === 1);
  const successor = await shop.mortal();
  await successor.consume({ ...effects(refuse), ackWaitMs: 300 });
  await until(() => successor.mortal.passed["consumer.buried"] === 1);
  expect(await letters(events)).toHaveLength(1);
});
