import "reflect-metadata";
import { create } from "@bufbuild/protobuf";
import { CreateOrderRequestSchema } from "@emporium/contracts/orders/v2";
import { Database, DataKeys, migrate } from "@emporium/database";
import { bootInfrastructure } from "@emporium/local";
import { schema } from "@emporium/orders";
import { Addresses } from "@emporium/orders/addresses";
import { Orders } from "@emporium/orders/orders";
import { PrismaClient } from "@emporium/orders/prisma";
import { newId, systemClock } from "@emporium/runtime";
import { pin } from "../server-process.js";
import { costOf } from "./cost.js";
import { growthTable } from "./growth-table.js";
import type { Part } from "./parts.js";

const SIZES = [1, 2, 4, 8, 16, 32, 64];
const QUICK = [1, 16];

/** What placing an order costs, and how many a second there are, by the connections of the pool. */
export const connections: Part = async ({ quick, rounds, milliseconds, progress }) => {
  const sizes = quick ? QUICK : SIZES;
  await using infrastructure = await bootInfrastructure();
  const { postgres } = infrastructure;
  pin(process.pid, 1);
  pin(postgres.pid, 0);
  const url = await postgres.databases.create("orders");
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  const watched = { postmaster: postgres.pid, rounds, milliseconds, callers: 64 };
  const found = growthTable("connections", "Node", sizes);
  for (const size of sizes) {
    await using database = await Database.open<PrismaClient>({
      url,
      client: (adapter) => new PrismaClient({ adapter }),
      applicationName: "connections",
      poolSize: size,
    });
    const addresses = new Addresses(DataKeys.random());
    const settings = { clock: systemClock, currency: "GBP", taxRateBasisPoints: 0 };
    const orders = new Orders(database, addresses, settings);
    const place = () => orders.place(newOrder(), new AbortController().signal);
    found.add("CreateOrder's statement", await costOf(watched, place));
    progress(`${size} connections`);
  }
  return found.report("Connections of orders to Postgres, 64 callers: CPU time of an order", {
    rates: true,
    flat: [],
    note: " A service has ten where nothing else is said.",
  });
};

function newOrder() {
  return create(CreateOrderRequestSchema, {
    orderId: newId("ord"),
    checkoutId: newId("chk"),
    customerId: "17850",
    lines: Array.from({ length: 3 }, (_, line) => ({
      sku: `even-${line}`,
      title: "WHITE HANGING HEART T-LIGHT HOLDER",
      quantity: 1n,
      unitPrice: { currencyCode: "GBP", units: 2n, nanos: 550_000_000 },
    })),
  });
}
