import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import {
  ItemsReturnedSchema,
  OrderCancelledSchema,
  OrderPlacedSchema,
} from "@emporium/contracts/orders/v1";
import type { Database } from "@emporium/database";
import { Events, outboxEvent } from "@emporium/events";
import { reasonOf } from "@emporium/grpc";
import { testInfrastructure } from "@emporium/local/test";
import { newId, relatedId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PrismaClient } from "../src/generated/prisma/client.js";
import { levelsOf, price, stockUp } from "./made-up.js";
import {
  emptyWarehouse,
  type InventoryClient,
  openTables,
  type Warehouse,
} from "./running-inventory.js";

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let client: InventoryClient;
let orders: Database<PrismaClient>;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  client = await warehouse.open();
  await warehouse.open();
  orders = await openOrders();
});
afterAll(() => stack.disposeAsync());

/** The outbox of the orders service; inventory's own tables have the same one. */
async function openOrders() {
  const { freshDatabase, certificates } = await testInfrastructure();
  const database = await openTables(await freshDatabase("orders"), stack);
  const stream = { duplicateWindowMs: 100 };
  const nats = { tls: await certificates.filesOf("orders") };
  const options = { ...warehouse.nats, nats, source: "orders", database, stream } as const;
  stack.use(await Events.connect(options)).startRelay();
  return database;
}

type Happened =
  | { schema: typeof OrderPlacedSchema; message: MessageInitShape<typeof OrderPlacedSchema> }
  | { schema: typeof OrderCancelledSchema; message: MessageInitShape<typeof OrderCancelledSchema> }
  | { schema: typeof ItemsReturnedSchema; message: MessageInitShape<typeof ItemsReturnedSchema> };

/** Publishes what happened to one order or return, and waits until inventory has taken it in. */
async function publish(aggregateId: string, firstVersion: number, ...happened: Happened[]) {
  const rows = happened.map(({ schema, message }, index) =>
    outboxEvent<DescMessage>(schema, { aggregateId, version: firstVersion + index, message }),
  );
  await orders.transaction(undefined, async (tx) => rows.forEach((row) => tx.emit(row)));
  const sql = "SELECT event_id FROM inbox WHERE event_id = ANY($1::uuid[])";
  const ids = rows.map(({ id }) => id);
  const takenIn = () => warehouse.database.query(undefined, sql, [ids]);
  await expect.poll(takenIn, { interval: 20, timeout: 10_000 }).toHaveLength(ids.length);
  return rows;
}

/** An order is placed and called off. */
function callOff(checkoutId: string, lines: { sku: string; quantity: bigint }[]) {
  const order = {
    orderId: relatedId("ord", checkoutId),
    checkoutId,
    lines: lines.map((line) => ({ ...line, title: "", unitPrice: price })),
  };
  return publish(
    order.orderId,
    1,
    { schema: OrderPlacedSchema, message: { order } },
    { schema: OrderCancelledSchema, message: { order } },
  );
}

async function reserve(checkoutId: string, sku: string, quantity: bigint) {
  const reservationId = relatedId("rsv", checkoutId);
  await client.reserveStock({ reservationId, lines: [{ sku, quantity }] });
  return reservationId;
}

test("the goods of a cancelled order that was sold come back", async () => {
  await stockUp(client, { s1: 10 });
  const checkoutId = newId("chk");
  const reservationId = await reserve(checkoutId, "s1", 3n);
  await client.commitReservation({ reservationId });
  await callOff(checkoutId, [
    { sku: "s1", quantity: 1n },
    { sku: "s1", quantity: 2n },
  ]);
  expect(await levelsOf(client, ["s1"])).toEqual([[10, 0]]);
});

test("what a cancelled order only had reserved is released, and cannot be sold any more", async () => {
  await stockUp(client, { h1: 10 });
  const checkoutId = newId("chk");
  const reservationId = await reserve(checkoutId, "h1", 3n);
  await callOff(checkoutId, [{ sku: "h1", quantity: 3n }]);
  expect(await levelsOf(client, ["h1"])).toEqual([[10, 0]]);
  const error = await client
    .commitReservation({ reservationId })
    .catch((reason: unknown) => reason);
  expect(reasonOf(error)?.reason).toBe("RESERVATION_NOT_HELD");
});

test("nothing comes back for a cancelled order whose reservation had ended before", async () => {
  await stockUp(client, { e1: 10 });
  const checkoutId = newId("chk");
  const reservationId = await reserve(checkoutId, "e1", 3n);
  await client.releaseReservation({ reservationId });
  await callOff(checkoutId, [{ sku: "e1", quantity: 3n }]);
  expect(await levelsOf(client, ["e1"])).toEqual([[10, 0]]);
});

test("the goods of a cancelled order from older books, which reserved nothing here, come in", async () => {
  await stockUp(client, { o1: 10 });
  await callOff(newId("chk"), [{ sku: "o1", quantity: 3n }]);
  expect(await levelsOf(client, ["o1"])).toEqual([[13, 0]]);
});

test("returned goods come in, and an event tells so under the return's id", async () => {
  await stockUp(client, { r1: 10, r2: 0 });
  const returnId = newId("ret");
  const lines = [
    { sku: "r2", quantity: 1n },
    { sku: "r1", quantity: 2n },
  ];
  await publish(returnId, 1, {
    schema: ItemsReturnedSchema,
    message: { return: { returnId, lines } },
  });
  expect(await levelsOf(client, ["r1", "r2"])).toEqual([
    [12, 0],
    [1, 0],
  ]);
  const rows = await warehouse.database.query<{ version: bigint; type: string }>(
    undefined,
    "SELECT version, type FROM outbox WHERE aggregate_id = $1",
    [returnId],
  );
  expect(rows).toEqual([{ version: 1n, type: "emporium.inventory.v1.StockChanged" }]);
});

test("goods come back once, however often the event does", async () => {
  await stockUp(client, { d1: 10 });
  const returnId = newId("ret");
  const message = { return: { returnId, lines: [{ sku: "d1", quantity: 2n }] } };
  const [row] = await publish(returnId, 1, { schema: ItemsReturnedSchema, message });

  const published = async () => {
    const sql =
      "SELECT stream_sequence AS at FROM outbox WHERE id = $1 AND publish_time IS NOT NULL";
    const [found] = await orders.query<{ at: bigint }>(undefined, sql, [row?.id]);
    return found?.at ?? 0n;
  };
  const publishedAgain = async () => {
    await orders.query(undefined, "UPDATE outbox SET publish_time = NULL WHERE id = $1", [row?.id]);
    orders.committed();
    await expect.poll(published, { interval: 10 }).toBeGreaterThan(0n);
    return published();
  };
  const first = await publishedAgain();
  // once the stream has forgotten the id it takes the same event a second time
  const patience = { interval: 50, timeout: 10_000 };
  await expect.poll(publishedAgain, patience).toBeGreaterThan(first);

  // of one aggregate events are taken in one after the other, so the second copy came before this
  await publish(returnId, 2, { schema: OrderPlacedSchema, message: {} });
  expect(await levelsOf(client, ["d1"])).toEqual([[12, 0]]);
});
