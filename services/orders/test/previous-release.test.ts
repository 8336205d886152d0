import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { OrderState as OrderStateV1 } from "@emporium/contracts/orders/v1";
import { CancelReason, OrderService, OrderState } from "@emporium/contracts/orders/v2";
import { Database, migrate } from "@emporium/database";
import type { Client } from "@emporium/grpc";
import { testInfrastructure } from "@emporium/local/test";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PrismaClient } from "../src/generated/prisma/client.js";
import { schema } from "../src/index.js";
import { PreviousRelease } from "./previous-release.js";
import { back, line, orderRequest, requestInV2, returnRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

let shop: RunningOrders;
let v2: Client<typeof OrderService>;
let previous: PreviousRelease;
beforeAll(async () => {
  shop = await runOrders({ taxRateBasisPoints: 2000 });
  v2 = shop.client(OrderService);
  previous = new PreviousRelease((sql, values) => shop.database.query(undefined, sql, values));
});
afterAll(() => shop?.[Symbol.asyncDispose]());

const now = new Date("2026-12-01T08:00:00Z");
const later = new Date("2026-12-01T08:30:00Z");

test("what the previous release places and cancels beside this one is an order of both versions", async () => {
  const request = orderRequest([line("A", 2, 300)]);
  await previous.place(request, now);
  const { order: placed } = await v2.getOrder({ orderId: request.orderId });
  expect(placed).toMatchObject({
    status: { state: OrderState.PLACED, time: timestampFromDate(now), cause: { case: undefined } },
    subtotal: { units: 6n },
    tax: { units: 0n },
    total: { units: 6n },
    taxRateBasisPoints: 0,
    shippingAddress: { recipient: "Alice Example" },
  });

  await previous.cancel(request.orderId, later);
  const { order: cancelled } = await v2.getOrder({ orderId: request.orderId });
  expect(cancelled?.status).toMatchObject({
    state: OrderState.CANCELLED,
    time: timestampFromDate(later),
    cause: { case: "cancellation", value: { reason: CancelReason.SHOP_DECISION, note: "" } },
  });
  const { order: first } = await shop.orders.getOrder({ orderId: request.orderId });
  expect(first).toEqual(await previous.read(request.orderId));
});

test("a CreateOrder that the previous release has answered is answered again, by both versions", async () => {
  const request = orderRequest([line("A", 1, 100)]);
  await previous.place(request, now);
  const again = await shop.orders.createOrder(request);
  expect(again.order).toMatchObject({ orderId: request.orderId, revision: 1n });
  const inTheOther = await v2.createOrder(requestInV2(request));
  expect(inTheOther.order).toMatchObject({ orderId: request.orderId, revision: 1n });
});

test("the previous release reads, lists, watches and changes what this one wrote", async () => {
  const request = orderRequest([line("A", 2, 300), line("B", 1, 100)]);
  await shop.orders.createOrder(request);
  await shop.orders.returnItems(returnRequest([back("A", 1)], { orderId: request.orderId }));
  const { order } = await shop.orders.getOrder({ orderId: request.orderId });
  // It knows no sealed addresses, and shows none.
  const { shippingAddress: _, ...known } = order!;
  expect(await previous.read(request.orderId)).toEqual(known);
  expect(await previous.list(1)).toEqual([known]);
  expect(await previous.watched(request.orderId)).toMatchObject({ revision: 2n, state: "PLACED" });

  const other = orderRequest([line("A", 1, 300)]);
  await shop.orders.createOrder(other);
  await previous.cancel(other.orderId, new Date("2026-12-01T10:00:00Z"));
  const { order: cancelled } = await v2.getOrder({ orderId: other.orderId });
  expect(cancelled).toMatchObject({
    status: { state: OrderState.CANCELLED, time: { seconds: 1796119200n } },
    taxRateBasisPoints: 2000,
    tax: { nanos: 500_000_000 },
  });
});

test("orders from before the migration are filled in: their states have their times", async () => {
  const { freshDatabase } = await testInfrastructure();
  const url = await freshDatabase("orders_before");
  const before = mkdtempSync(join(tmpdir(), "migrations-"));
  try {
    cpSync(schema.migrationsPath, before, {
      recursive: true,
      filter: (path) => !/_orders_v2|_sealed_address/.test(path),
    });
    await migrate({ url, schema: schema.schemaPath, migrations: before });
  } finally {
    rmSync(before, { recursive: true });
  }
  await using database = await Database.open<PrismaClient>({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "test",
  });
  const old = new PreviousRelease((sql, values) => database.query(undefined, sql, values));
  const [placed, cancelled] = [line("A", 1, 100), line("B", 1, 100)].map((l) => orderRequest([l]));
  await old.place(placed!, now);
  await old.place(cancelled!, now);
  await old.cancel(cancelled!.orderId, later);

  const { schemaPath, migrationsPath: migrations } = schema;
  const applied = await migrate({ url, schema: schemaPath, migrations });
  expect(applied).toEqual(["20261123000200_orders_v2", "20261127000000_sealed_address"]);
  const rows = await database.query(
    undefined,
    "SELECT order_id, status_time, tax_rate, cancel_note FROM orders ORDER BY status_time",
  );
  expect(rows).toEqual([
    { order_id: placed!.orderId, status_time: now, tax_rate: 0, cancel_note: "" },
    { order_id: cancelled!.orderId, status_time: later, tax_rate: 0, cancel_note: "" },
  ]);
  expect((await old.read(cancelled!.orderId)).state).toBe(OrderStateV1.CANCELLED);
});

test("after the contract step this release goes on, and the previous one is locked out", async () => {
  const step = readFileSync(join(import.meta.dirname, "contract-step.sql"), "utf8");
  for (const statement of step.split(";").filter((part) => part.trim()))
    await shop.database.query(undefined, statement);

  const { orderId } = await shop.orders
    .createOrder(orderRequest([line("A", 1, 100)]))
    .then(({ order }) => order!);
  shop.clock.advance(1000);
  const { order } = await v2.cancelOrder({ orderId, reason: CancelReason.SHOP_DECISION });
  expect(order?.status?.time).toEqual(order?.updateTime);
  await expect(previous.place(orderRequest([line("A", 1, 100)]), now)).rejects.toMatchObject({
    message: expect.stringContaining("status_time") as string,
  });
});
