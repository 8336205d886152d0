import { randomBytes } from "node:crypto";
import {
  CancelReason,
  type OrderService,
  OrderState,
  type WatchOrderResponse,
} from "@emporium/contracts/orders/v1";
import { type Client, Code } from "@emporium/grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outcomeOf } from "./outcome.js";
import { back, line, newId, orderRequest, returnRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

type Orders = Client<typeof OrderService>;

let shop: RunningOrders;
let first: Orders;
let second: Orders;
const parts = new AsyncDisposableStack();

beforeAll(async () => {
  shop = parts.use(await runOrders());
  first = shop.orders;
  second = parts.use(await shop.startReplica());
});
afterAll(() => parts.disposeAsync());

async function placed(...lines: ReturnType<typeof line>[]): Promise<string> {
  const request = orderRequest(lines);
  await first.createOrder(request);
  return request.orderId;
}

const takeBack = (orders: Orders, orderId: string, quantity = 1) =>
  orders.returnItems(returnRequest([back("A", quantity)], { orderId }));
const cancel = (orders: Orders, orderId: string) =>
  orders.cancelOrder({ orderId, reason: CancelReason.CUSTOMER_REQUEST });
const read = (orders: Orders, orderId: string, resumeToken = "") =>
  orders.watchOrder({ orderId, resumeToken })[Symbol.asyncIterator]();
const readAll = (orders: Orders, orderId: string, resumeToken = "") =>
  Array.fromAsync(orders.watchOrder({ orderId, resumeToken }));
async function next(watcher: AsyncIterator<WatchOrderResponse>): Promise<WatchOrderResponse> {
  const result = await watcher.next();
  if (result.done) throw new Error("The watch has ended");
  return result.value;
}
const revisionsOf = (messages: WatchOrderResponse[]) =>
  messages.map(({ order }) => Number(order!.revision));
const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1);

test("changes made on one replica reach a watcher of the other as they happen, until the last", async () => {
  const orderId = await placed(line("A", 2, 100));
  const watcher = read(second, orderId);
  const told: WatchOrderResponse[] = [await next(watcher)];
  for (const orders of [first, second]) {
    const { return: taken } = await takeBack(orders, orderId);
    const message = await next(watcher);
    expect(message.return).toEqual(taken);
    told.push(message);
  }
  expect(await watcher.next()).toMatchObject({ done: true });
  expect(revisionsOf(told)).toEqual([1, 2, 3]);
  expect(told.map(({ order }) => order!.state)).toEqual([
    OrderState.PLACED,
    OrderState.PLACED,
    OrderState.RETURNED,
  ]);
  expect(told.at(-1)?.order).toEqual((await first.getOrder({ orderId })).order);
  expect(await readAll(first, orderId)).toEqual(told);
});

test("a cancelled order is told with its address, and its watch ends", async () => {
  const orderId = await placed(line("A", 1, 100));
  const watcher = read(first, orderId);
  await watcher.next();
  const { order } = await cancel(second, orderId);
  expect(await next(watcher)).toMatchObject({ order });
  expect(order?.shippingAddress?.recipient).toBe("Alice Example");
  expect(await watcher.next()).toMatchObject({ done: true });
});

test("a watch that breaks off goes on elsewhere with its last resume token", async () => {
  const orderId = await placed(line("A", 6, 100));
  await takeBack(first, orderId);
  const watcher = read(first, orderId);
  const told = [await next(watcher), await next(watcher)];
  await watcher.return?.();
  await takeBack(first, orderId);
  await takeBack(second, orderId);

  const resumed = read(second, orderId, told.at(-1)!.resumeToken);
  told.push(await next(resumed), await next(resumed));
  await takeBack(first, orderId, 2);
  told.push(await next(resumed));
  await resumed.return?.();
  expect(revisionsOf(told)).toEqual([1, 2, 3, 4, 5]);
});

test("a replica that goes away hands its watchers over", async () => {
  const orderId = await placed(line("A", 2, 100));
  const third = await shop.startReplica();
  const watcher = read(third, orderId);
  const { resumeToken } = await next(watcher);
  const ended = watcher.next();
  const disposed = third[Symbol.asyncDispose]();
  await expect(ended).rejects.toMatchObject({ code: Code.Unavailable });
  await disposed;
  await takeBack(first, orderId, 2);
  expect(revisionsOf(await readAll(second, orderId, resumeToken))).toEqual([2]);
});

test("a watch resumed after the final state ends at once", async () => {
  const orderId = await placed(line("A", 1, 100));
  await cancel(first, orderId);
  const { resumeToken } = (await readAll(first, orderId)).at(-1)!;
  expect(await readAll(second, orderId, resumeToken)).toEqual([]);
});

test("watchers that come, go and resume while goods come back miss nothing", async () => {
  const units = 40;
  const orderId = await placed(line("A", units, 100));
  const watchers = [first, second, first, second].map(async (orders, at) => {
    const told: WatchOrderResponse[] = [];
    while (told.at(-1)?.order?.state !== OrderState.RETURNED) {
      const resumeToken = told.at(-1)?.resumeToken ?? "";
      let room = 3 + at * 4;
      for await (const message of orders.watchOrder({ orderId, resumeToken })) {
        told.push(message);
        if (--room === 0) break;
      }
    }
    return told;
  });
  const takers = [first, second].map(async (orders) => {
    for (let unit = 0; unit < units / 2; unit++) await takeBack(orders, orderId);
  });
  await Promise.all(takers);
  const all = await Promise.all(watchers);
  for (const told of all) expect(revisionsOf(told)).toEqual(upTo(units + 1));
  for (const told of all) expect(told).toEqual(all[0]);
});

test("a reader that sleeps through more than waits for it in memory misses nothing", async () => {
  const units = 60;
  // titles that gzip cannot make small, so that the transport's own buffers are soon full
  const others = Array.from({ length: 60 }, (_, at) => ({
    ...line(`B${at}`, 1, 100),
    title: randomBytes(150).toString("base64"),
  }));
  const orderId = await placed(line("A", units, 100), ...others);
  const watcher = read(first, orderId);
  const told = [await next(watcher)];
  for (let unit = 0; unit < units; unit++) await takeBack(second, orderId);
  while (told.length <= units) told.push(await next(watcher));
  await watcher.return?.();
  expect(revisionsOf(told)).toEqual(upTo(units + 1));
});

test("1. INVALID_RESUME_TOKEN for what this order's watch never gave out", async () => {
  const [orderId, otherId] = [await placed(line("A", 2, 100)), await placed(line("A", 1, 100))];
  await cancel(first, otherId);
  const other = (await readAll(first, otherId)).at(-1)!;
  const { nextPageToken } = await first.listOrders({ pageSize: 1 });
  const forged = (parts: unknown) => Buffer.from(JSON.stringify(parts)).toString("base64url");
  const tokens = [
    "token",
    other.resumeToken,
    nextPageToken,
    forged(["WatchOrder.1", orderId, "2"]),
    forged(["WatchOrder.1", orderId, "0"]),
    forged(["WatchOrder.1", orderId, "-1"]),
    forged(["WatchOrder.2", orderId, "1"]),
    forged(["WatchOrder.1", orderId, "1", "1"]),
  ];
  for (const resumeToken of tokens)
    expect(await outcomeOf(readAll(first, orderId, resumeToken))).toEqual({
      reason: "INVALID_RESUME_TOKEN",
      code: "InvalidArgument",
      about: ["resume_token"],
    });
  const missing = newId("ord");
  const token = forged(["WatchOrder.1", missing, "1"]);
  const outcome = await outcomeOf(readAll(first, missing, token));
  expect(outcome.reason).toBe("INVALID_RESUME_TOKEN");
});

test("2. ORDER_NOT_FOUND", async () => {
  const orderId = newId("ord");
  expect(await outcomeOf(readAll(first, orderId))).toEqual({
    reason: "ORDER_NOT_FOUND",
    code: "NotFound",
    about: [orderId],
  });
});

test("a watch ends with its caller", async () => {
  const orderId = await placed(line("A", 1, 100));
  const caller = new AbortController();
  const watcher = first.watchOrder({ orderId }, { signal: caller.signal })[Symbol.asyncIterator]();
  await watcher.next();
  const ended = watcher.next();
  caller.abort();
  await expect(ended).rejects.toMatchObject({ code: Code.Canceled });
});
