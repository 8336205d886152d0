import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ExportOrdersResponse, OrderSchema } from "@emporium/contracts/orders/v1";
import { afterAll, beforeAll, expect, test } from "vitest";
import { orderMessage } from "../src/order-message.js";
import { snapshotOf } from "../src/snapshots.js";
import { outcomeOf } from "./outcome.js";
import { line, newId, orderRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

const ORDERS = 5000;
const FIRST = Date.parse("2026-11-01T00:00:00Z");

let shop: RunningOrders;
beforeAll(async () => {
  shop = await runOrders();
  for (let from = 0; from < ORDERS; from += 500) await insertOrders(from, 500);
});
afterAll(() => shop?.[Symbol.asyncDispose]());

/** Orders of 5 kB each, two in each millisecond; as much of them as reading needs. */
async function insertOrders(from: number, count: number): Promise<void> {
  const orders = Array.from({ length: count }, (_, at) => {
    const createTime = new Date(FIRST + Math.floor((from + at) / 2));
    return orderMessage({
      orderId: newId("ord"),
      customerId: "alice",
      state: "PLACED",
      currency: "GBP",
      total: 3000n,
      refunded: 0n,
      checkoutId: newId("chk"),
      createTime,
      updateTime: createTime,
      revision: 1n,
      cancelReason: null,
      cancelNote: "",
      statusTime: createTime,
      taxRate: 0,
      lines: Array.from({ length: 30 }, (_, lineNo) => ({
        lineNo,
        sku: `S${lineNo}`,
        title: "A title of some length ".repeat(6),
        quantity: 1n,
        unitPrice: 100n,
        returnedQuantity: 0n,
      })),
    });
  });
  await shop.database.query(
    undefined,
    `WITH placed AS (
       INSERT INTO orders (order_id, customer_id, currency, total, checkout_id, create_time,
                           update_time, content_hash)
       SELECT order_id, 'alice', 'GBP', 3000, '', create_time, create_time, ''
       FROM unnest($1::text[], $2::timestamptz[]) AS new (order_id, create_time)
     )
     INSERT INTO order_changes (order_id, revision, snapshot)
     SELECT order_id, 1, snapshot FROM unnest($1::text[], $3::bytea[]) AS new (order_id, snapshot)`,
    [
      orders.map(({ orderId }) => orderId),
      orders.map((_, at) => new Date(FIRST + Math.floor((from + at) / 2))),
      orders.map(snapshotOf),
    ],
  );
}

const at = (milliseconds: number) => timestampFromDate(new Date(FIRST + milliseconds));
const keyOf = ({ order }: ExportOrdersResponse) =>
  `${order!.createTime!.seconds}.${String(order!.createTime!.nanos).padStart(9, "0")} ${order!.orderId}`;

test("an export of thousands to a slow reader holds a page in memory, not the export", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = () => {
    // twice: what the first round finalizes, the second frees
    collect();
    collect();
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    return (heapUsed + external + arrayBuffers) / 1e6;
  };
  let read = 0;
  let bytes = 0;
  let previous = "";
  let ordered = true;
  let least = Infinity;
  let most = 0;
  for await (const message of shop.orders.exportOrders({})) {
    ordered &&= keyOf(message) > previous;
    previous = keyOf(message);
    bytes += toBinary(OrderSchema, message.order!).byteLength;
    if (++read % 300 !== 0) continue;
    // what runs ahead of the reader has time to do so here
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = used();
    least = Math.min(least, now);
    most = Math.max(most, now);
  }
  expect({ read, ordered }).toEqual({ read: ORDERS, ordered: true });
  // What is on its way is counted compressed, so it can be some megabytes; all of it would be more.
  expect(bytes).toBeGreaterThan(24e6);
  expect(most - least).toBeLessThan(15);
});

test("start_time is in the span and end_time is not", async () => {
  const span = { startTime: at(10), endTime: at(20) };
  const found = await Array.fromAsync(shop.orders.exportOrders(span));
  expect(found).toHaveLength(20);
  const aBitLater = { startTime: { ...at(10), nanos: at(10).nanos + 1 }, endTime: at(20) };
  expect(await Array.fromAsync(shop.orders.exportOrders(aBitLater))).toHaveLength(18);
});

test("times at the ends of time are times", async () => {
  const everything = {
    startTime: { seconds: -62_135_596_800n, nanos: 0 },
    endTime: { seconds: 253_402_300_799n, nanos: 999_999_999 },
  };
  const [first] = await Array.fromAsync(take(shop.orders.exportOrders(everything), 1));
  expect(first?.order?.createTime).toEqual(at(0));
  const nothing = { startTime: everything.endTime };
  expect(await Array.fromAsync(shop.orders.exportOrders(nothing))).toEqual([]);
});

test("a resumed export goes on after the last message, in the middle of a millisecond too", async () => {
  const span = { startTime: at(100), endTime: at(300) };
  const whole = await Array.fromAsync(shop.orders.exportOrders(span));
  const pieces: ExportOrdersResponse[] = [];
  let resumeToken = "";
  for (const size of [1, 151, 1000]) {
    const piece = take(shop.orders.exportOrders({ ...span, resumeToken }), size);
    pieces.push(...(await Array.fromAsync(piece)));
    resumeToken = pieces.at(-1)!.resumeToken;
  }
  expect(pieces).toEqual(whole);
  expect(await Array.fromAsync(shop.orders.exportOrders({ ...span, resumeToken }))).toEqual([]);
});

test("INVALID_RESUME_TOKEN for a token that no export gave out", async () => {
  const { nextPageToken } = await shop.orders.listOrders({ pageSize: 1 });
  for (const resumeToken of ["token", nextPageToken])
    expect(await outcomeOf(Array.fromAsync(shop.orders.exportOrders({ resumeToken })))).toEqual({
      reason: "INVALID_RESUME_TOKEN",
      code: "InvalidArgument",
      about: ["resume_token"],
    });
});

test("without an end the export reaches what was placed before the call, and nothing later", async () => {
  const before = orderRequest([line("A", 1, 100)]);
  await shop.orders.createOrder(before);
  const startTime = timestampFromDate(shop.clock.now());
  const reader = shop.orders.exportOrders({ startTime })[Symbol.asyncIterator]();
  expect((await reader.next()).value).toMatchObject({ order: { orderId: before.orderId } });
  shop.clock.advance(1);
  await shop.orders.createOrder(orderRequest([line("A", 1, 100)]));
  expect(await reader.next()).toMatchObject({ done: true });
});

test("a page of large orders ends before it would be too large for one message", async () => {
  const lines = Array.from({ length: 1000 }, (_, at) => ({
    ...line(`L${at}`, 1, 100),
    title: "t".repeat(200),
  }));
  const customerId = "wholesale";
  const requests = Array.from({ length: 12 }, () => orderRequest(lines, { customerId }));
  await Promise.all(requests.map((request) => shop.orders.createOrder(request)));
  let found = 0;
  let pages = 0;
  let pageToken = "";
  do {
    const page = await shop.orders.listOrders({ customerId, pageToken });
    found += page.orders.length;
    pages += 1;
    pageToken = page.nextPageToken;
  } while (pageToken);
  expect({ found, pages }).toEqual({ found: 12, pages: 2 });
});

async function* take<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let taken = 0;
  for await (const item of items) {
    yield item;
    if (++taken === count) return;
  }
}
