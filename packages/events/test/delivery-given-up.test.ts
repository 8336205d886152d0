import { jetstream, type Consumer } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { effects, TestShop, until, type TestEvents } from "./shop.js";

let postgres: TestPostgres;
let nats: TestNats;

beforeAll(async () => {
  [postgres, nats] = await Promise.all([TestPostgres.start(), TestNats.start()]);
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

/** Gets the durable consumer's messages in place of its service, which is gone. */
async function inPlaceOfTheService(
  shop: TestShop,
  events: TestEvents,
  work: (consumer: Consumer) => Promise<void>,
): Promise<void> {
  const made = await events.consume(effects());
  const connection = await connect({ servers: shop.nats.url });
  const { consumers } = jetstream(connection);
  const stream = `${shop.prefix}_INVENTORY`.toUpperCase();
  let consumer: Consumer | undefined;
  await until(async () => {
    consumer = await consumers.get(stream, "effects").catch(() => undefined);
    return consumer !== undefined;
  });
  await made[Symbol.asyncDispose]();
  await shop.emit(["rsv_1", 1]);
  await work(consumer!);
  await connection.close();
}

async function expectLetterThenEffect(shop: TestShop, events: TestEvents): Promise<void> {
  await using _consumer = await events.consume(effects());
  const letters = () => Array.fromAsync(events.deadLetters.list());
  await until(async () => (await letters()).length === 1);
  expect(await letters()).toMatchObject([{ reason: "DELIVERY_GIVEN_UP", consumer: "effects" }]);
  expect(await events.deadLetters.redrive()).toBe(1);
  await until(async () => (await letters()).length === 0);
  expect(await shop.versions()).toEqual({ rsv_1: [1] });
}

test("a message that was terminated by somebody else becomes a dead letter", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await inPlaceOfTheService(shop, events, async (consumer) => {
    const message = await consumer.next();
    message!.term("by hand");
  });
  await expectLetterThenEffect(shop, events);
});

test("a message that died on its last delivery becomes a dead letter", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await inPlaceOfTheService(shop, events, async (consumer) => {
    for (;;) {
      const message = await consumer.next({ expires: 1_000 });
      if (!message) break;
      message.nak();
    }
  });
  await expectLetterThenEffect(shop, events);
});

test("a version that was taken in under another id is a dead letter, not a copy", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects());
  await shop.emit(["rsv_1", 1], ["rsv_1", 2]);
  await until(async () => (await shop.count("effect")) === 2);
  // As if the source's database had been set back to a copy from before version 2.
  await shop.database.query(undefined, "DELETE FROM outbox WHERE version = 2");
  await shop.emit(["rsv_1", 2]);
  const letters = () => Array.fromAsync(events.deadLetters.list());
  await until(async () => (await letters()).length === 1);
  expect(await letters()).toMatchObject([{ reason: "VERSION_CONFLICT" }]);
});
