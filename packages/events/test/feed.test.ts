import { afterAll, beforeAll, expect, test } from "vitest";
import { formatPosition, parsePosition, watch, type StreamPosition } from "../src/index.js";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { TestShop, until, type TestEvents } from "./shop.js";

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
});

interface Change {
  id: string;
  version: bigint;
}

/** Watches every reservation: what the database has, then what comes. */
function changes(shop: TestShop, events: TestEvents, resume?: StreamPosition) {
  const stopping = new AbortController();
  const batches = watch<Change>({
    feed: events.feed(),
    select: ({ meta }) => [{ id: meta.aggregateId, version: meta.version }],
    key: ({ id }) => id,
    revision: ({ version }) => version,
    async *backfill(_seen, signal) {
      yield await shop.database.query<Change>(
        signal,
        "SELECT aggregate_id AS id, max(version) AS version FROM outbox GROUP BY 1 ORDER BY 1",
      );
    },
    overflow: "latest",
    resume,
    signal: stopping.signal,
  });
  const state = { read: [] as string[], position: undefined as StreamPosition | undefined };
  let caughtUp = false;
  const ended = (async () => {
    for await (const batch of batches) {
      state.read.push(...batch.items.map(({ id, version }) => `${id} ${version}`));
      state.position = batch.position;
      caughtUp = batch.caughtUp;
    }
  })();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  return Object.assign(state, { caughtUp: () => caughtUp, stop });
}

test("watchers share one subscription, through a restart and a wiped store", async () => {
  await using nats = await TestNats.start();
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await shop.emit(["rsv_1", 1]);
  const watchers = [1, 2, 3].map(() => changes(shop, events));
  await until(() => watchers.every(({ caughtUp }) => caughtUp()));
  await shop.emit(["rsv_1", 2], ["rsv_2", 1]);
  await until(() => watchers.every(({ read }) => read.length === 3));
  expect((await shop.stream()).state.consumer_count).toBe(1);

  await nats.stop();
  await until(() => !events.ready());
  await shop.emit(["rsv_2", 2]);
  await nats.start();
  await until(() => watchers.every(({ read }) => read.length === 4));

  await nats.stop();
  await nats.wipe();
  await shop.emit(["rsv_3", 1]);
  await nats.start();
  await until(() => watchers.every(({ read }) => read.length === 5));
  await shop.emit(["rsv_3", 2]);
  await until(() => watchers.every(({ read }) => read.length === 6));
  for (const watcher of watchers) {
    expect(new Set(watcher.read)).toEqual(
      new Set(["rsv_1 1", "rsv_1 2", "rsv_2 1", "rsv_2 2", "rsv_3 1", "rsv_3 2"]),
    );
    await watcher.stop();
  }
  expect(events.feed().listeners).toBe(0);
});

test("a token of one process resumes at another; after its stream was wiped all comes again", async () => {
  await using nats = await TestNats.start();
  await using shop = await TestShop.open(postgres, nats);
  const [one, other] = [await shop.process(), await shop.process()];
  one.startRelay();
  await shop.emit(["rsv_1", 1], ["rsv_2", 1]);
  await until(async () => (await shop.count("outbox WHERE publish_time IS NULL")) === 0);
  const first = changes(shop, one);
  await until(() => first.caughtUp());
  await first.stop();
  const token = formatPosition(first.position!);
  await shop.emit(["rsv_2", 2], ["rsv_3", 1]);
  await until(async () => (await shop.count("outbox WHERE publish_time IS NULL")) === 0);

  const second = changes(shop, other, parsePosition(token));
  await until(() => second.caughtUp());
  expect(second.read).toEqual(["rsv_2 2", "rsv_3 1"]);
  await nats.stop();
  await nats.wipe();
  await nats.start();
  await until(() => one.ready() && other.ready());
  const third = changes(shop, other, parsePosition(token));
  await until(() => third.caughtUp());
  expect(third.read).toEqual(["rsv_1 1", "rsv_2 2", "rsv_3 1"]);
  await Promise.all([second.stop(), third.stop()]);
});

test("a watch that begins while NATS is away shows the database, and goes on when it is back", async () => {
  await using nats = await TestNats.away();
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await shop.emit(["rsv_1", 1]);
  const watcher = changes(shop, events);
  await until(() => watcher.read.length === 1);
  expect(watcher.caughtUp()).toBe(false);
  await nats.start();
  await until(() => watcher.caughtUp());
  await shop.emit(["rsv_1", 2]);
  await until(() => watcher.read.includes("rsv_1 2"));
  await watcher.stop();
});
