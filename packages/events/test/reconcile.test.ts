import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lanes, type Acknowledged, type Claim } from "../src/lanes.js";
import { silent } from "../src/logger.js";
import { reconcile } from "../src/reconcile.js";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { TestShop } from "./shop.js";

const signal = AbortSignal.timeout(60_000);

let postgres: TestPostgres;
let nats: TestNats;

beforeAll(async () => {
  [postgres, nats] = await Promise.all([TestPostgres.start(), TestNats.start()]);
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

/** A stream that allows what a source's own does not, and lanes whose rows were published to it. */
async function published(shop: TestShop, count: number) {
  const connection = await connect({ servers: nats.url });
  const management = await jetstreamManager(connection);
  const stream = `S${shop.prefix}`;
  const info = await management.streams.add({ name: stream, subjects: [`${shop.prefix}.>`] });
  const lanes = new Lanes(shop.database);
  await shop.emit(...Array.from({ length: count }, (_, nr) => [`rsv_${nr}`, 1] as const));
  const claims: Claim[] = [];
  const acknowledged: Acknowledged[] = [];
  for (let part = await lanes.claim([], signal); part.claims.length > 0;) {
    claims.push(...part.claims);
    for (const row of part.rows) {
      const subject = `${shop.prefix}.${row.aggregateId}`;
      const { seq } = await jetstream(connection).publish(subject, row.payload, { msgID: row.id });
      acknowledged.push({ row, sequence: seq });
    }
    part = await lanes.claim([], signal);
  }
  const mark = () => lanes.mark(claims, info.created, acknowledged);
  const compare = () => reconcile({ lanes, management, stream, logger: silent }, signal);
  const waiting = () => shop.count("outbox WHERE publish_time IS NULL");
  return {
    management,
    stream,
    mark,
    compare,
    waiting,
    created: info.created,
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

test("a message that is missing in between is published again, and noticed once", async () => {
  await using shop = await TestShop.open(postgres, nats);
  await using copy = await published(shop, 10);
  await copy.mark();
  expect(await copy.compare()).toBe(copy.created);
  expect(await copy.waiting()).toBe(0);
  await copy.management.streams.deleteMessage(copy.stream, 4);
  expect(await copy.compare()).toBe(copy.created);
  expect(await copy.waiting()).toBe(1);
  await copy.compare();
  expect(await copy.waiting()).toBe(1);
});

test("what grew out of date by itself is not missing", async () => {
  await using shop = await TestShop.open(postgres, nats);
  await using copy = await published(shop, 10);
  await copy.mark();
  await copy.management.streams.purge(copy.stream);
  await copy.compare();
  expect(await copy.waiting()).toBe(0);
});

test("acknowledgements from before the comparison are not marked after it", async () => {
  await using shop = await TestShop.open(postgres, nats);
  await using copy = await published(shop, 10);
  await copy.compare();
  expect(await copy.mark()).toEqual([]);
  expect(await copy.waiting()).toBe(10);
});
