import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { WatchStockRequestSchema, type WatchStockResponse } from "@emporium/contracts/inventory/v1";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import { Events } from "@emporium/events";
import { findDetail, reasonOf } from "@emporium/grpc";
import { testInfrastructure } from "@emporium/local/test";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Catalogue } from "../src/catalogue.js";
import { StockWatch } from "../src/stock-watch.js";
import { stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let client: InventoryClient;
let replica: InventoryClient;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  client = await warehouse.open();
  replica = await warehouse.open();
});
afterAll(() => stack.disposeAsync());

/** A reader that is at the end of what has happened so far; it leaves when it is disposed. */
class Reader implements AsyncDisposable {
  readonly levels = new Map<string, string>();
  readonly messages: WatchStockResponse[] = [];
  readonly #leave = new AbortController();
  readonly #stream: AsyncIterator<WatchStockResponse>;

  constructor(from: InventoryClient, request: MessageInitShape<typeof WatchStockRequestSchema>) {
    const stream = from.watchStock(request, { signal: this.#leave.signal });
    this.#stream = stream[Symbol.asyncIterator]();
  }

  get resumeToken(): string {
    return this.messages.at(-1)?.resumeToken ?? "";
  }

  /** Reads until the levels seen so far say what is expected. */
  async until(isThere: (levels: Map<string, string>, last: WatchStockResponse) => boolean) {
    for (;;) {
      const { value: message } = await this.#stream.next();
      this.messages.push(message);
      for (const { sku, onHand, reserved } of message.levels)
        this.levels.set(sku, `${onHand}/${reserved}`);
      if (isThere(this.levels, message)) return this.levels;
    }
  }

  caughtUp() {
    return this.until((_, { caughtUp }) => caughtUp);
  }

  async [Symbol.asyncDispose]() {
    this.#leave.abort();
    await this.#stream.next().catch(() => undefined);
  }
}

/** The last sequence in the stream; undefined while an event waits in the outbox. */
async function lastPublished(): Promise<bigint | undefined> {
  const [outbox] = await warehouse.database.query<{ waiting: bigint; last: bigint }>(
    undefined,
    "SELECT count(*) - count(publish_time) AS waiting, max(stream_sequence) AS last FROM outbox",
  );
  return outbox?.waiting === 0n ? outbox.last : undefined;
}

function failureOf(request: MessageInitShape<typeof WatchStockRequestSchema>) {
  const stream = client.watchStock(request)[Symbol.asyncIterator]();
  return stream.next().then(
    () => [],
    (error: unknown) => [
      reasonOf(error)?.reason,
      ...(findDetail(error, BadRequestSchema)?.fieldViolations ?? []).map(({ field }) => field),
    ],
  );
}

test("1. INVALID_RESUME_TOKEN comes before PRODUCT_NOT_FOUND", async () => {
  expect(await failureOf({ resumeToken: "garbage", skus: ["none"] })).toEqual([
    "INVALID_RESUME_TOKEN",
    "resume_token",
  ]);
});

test("2. PRODUCT_NOT_FOUND names the SKUs that do not exist", async () => {
  await stockUp(client, { n1: 1 });
  expect(await failureOf({ skus: ["n1", "none"] })).toEqual(["PRODUCT_NOT_FOUND", "skus[1]"]);
});

test("3. first the levels now come, also of a product that never had any", async () => {
  await stockUp(client, { s1: 5, s2: 0, s3: 7 });
  await using reader = new Reader(client, { skus: ["s1", "s2"] });
  expect(Object.fromEntries(await reader.caughtUp())).toEqual({ s1: "5/0", s2: "0/0" });
});

test("3. then every change comes, of watched products only, also one made at another replica", async () => {
  await stockUp(client, { c1: 5, c2: 5 });
  await using reader = new Reader(client, { skus: ["c1"] });
  await reader.caughtUp();
  const reservationId = newId("rsv");
  const lines = ["c1", "c2"].map((sku) => ({ sku, quantity: 2n }));
  await replica.reserveStock({ reservationId, lines });
  await reader.until((levels) => levels.get("c1") === "5/2");
  await replica.commitReservation({ reservationId });
  await reader.until((levels) => levels.get("c1") === "3/0");
  expect(reader.levels.has("c2")).toBe(false);
});

test("3. without SKUs all products come, those too that are new", async () => {
  await using reader = new Reader(client, {});
  await reader.caughtUp();
  await stockUp(replica, { new1: 3 });
  expect((await reader.until((levels) => levels.has("new1"))).get("new1")).toBe("3/0");
});

test("revisions only rise, and the last one is the level in the end", async () => {
  await stockUp(client, { r1: 100 });
  await using reader = new Reader(replica, { skus: ["r1"] });
  await reader.caughtUp();
  await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      (index % 2 ? client : replica).reserveStock({
        reservationId: newId("rsv"),
        lines: [{ sku: "r1", quantity: 1n }],
      }),
    ),
  );
  await reader.until((levels) => levels.get("r1") === "100/40");
  const revisions = reader.messages.flatMap(({ levels }) => levels.map(({ revision }) => revision));
  expect(revisions).toEqual([...new Set(revisions)].toSorted((one, other) => Number(one - other)));
});

test("a reader who is slower than the changes gets the latest level, not all that were before", async () => {
  await stockUp(client, { slow: 50 });
  const { database, nats, clock } = warehouse;
  const { certificates } = await testInfrastructure();
  const credentials = { tls: await certificates.filesOf("inventory") };
  const options = { ...nats, nats: credentials, source: "inventory", database } as const;
  await using events = await Events.connect(options);
  const settings = { clock, currency: "GBP", reservationTtlMs: 1000 };
  const stockWatch = new StockWatch(database, events, new Catalogue(database, settings));
  const leave = new AbortController();
  const request = create(WatchStockRequestSchema, { skus: ["slow"] });
  const messages = stockWatch.watch(request, leave.signal);
  await messages.next();

  const lines = [{ sku: "slow", quantity: 1n }];
  for (let buyer = 0; buyer < 20; buyer++)
    await client.reserveStock({ reservationId: newId("rsv"), lines });
  const feedHasAll = async () =>
    (await lastPublished()) === BigInt(events.feed().position?.sequence ?? 0);
  await expect.poll(feedHasAll, { interval: 20, timeout: 10_000 }).toBe(true);
  const { value } = await messages.next();
  expect(value).toMatchObject({ caughtUp: true, levels: [{ sku: "slow", reserved: 20n }] });
  leave.abort();
  expect(await messages.next()).toMatchObject({ done: true });
});

test("a reader who comes back with his token gets what changed, from any replica, and not the rest", async () => {
  await stockUp(client, { b1: 5, b2: 5 });
  // Events of two aggregates may be published in another order than they happened.
  await expect.poll(() => lastPublished(), { interval: 20, timeout: 10_000 }).toBeDefined();
  const first = new Reader(client, { skus: ["b1", "b2"] });
  await first.caughtUp();
  // A change that is seen as it happens: the token is past the events of the import.
  const both = ["b1", "b2"].map((sku) => ({ sku, quantity: 1n }));
  await client.reserveStock({ reservationId: newId("rsv"), lines: both });
  await first.until((levels) => levels.get("b2") === "5/1");
  await first[Symbol.asyncDispose]();
  const lines = [{ sku: "b2", quantity: 1n }];
  await client.reserveStock({ reservationId: newId("rsv"), lines });
  await using again = new Reader(replica, { skus: ["b1", "b2"], resumeToken: first.resumeToken });
  expect(Object.fromEntries(await again.until((levels) => levels.has("b2")))).toEqual({
    b2: "5/2",
  });
});

test("a token of a stream that is no longer there brings the levels now again", async () => {
  await stockUp(client, { t1: 5 });
  const position = "2020-01-01T00:00:00.000000000Z#0@12";
  const resumeToken = Buffer.from(position).toString("base64url");
  await using reader = new Reader(client, { skus: ["t1"], resumeToken });
  expect(Object.fromEntries(await reader.caughtUp())).toEqual({ t1: "5/0" });
});

test("2,500 products come as messages of up to 1,000, and only the last one says caught_up", async () => {
  const other = await (await emptyWarehouse(stack)).open();
  const skus = Array.from({ length: 2500 }, (_, index) => `m${index}`);
  await stockUp(other, Object.fromEntries(skus.map((sku) => [sku, 1])));
  await using reader = new Reader(other, {});
  expect((await reader.caughtUp()).size).toBe(2500);
  const sizes = reader.messages.map(({ levels }) => levels.length);
  expect(sizes.filter((size) => size > 0)).toEqual([1000, 1000, 500]);
  expect(reader.messages.findIndex(({ caughtUp }) => caughtUp)).toBe(sizes.length - 1);
});
