import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { DataKeys, migrate } from "@emporium/database";
import { createGrpcClient } from "@emporium/grpc";
import { testInfrastructure } from "@emporium/local/test";
import { beforeAll, expect, test } from "vitest";
import { create, type OrdersConfig, schema } from "../src/index.js";

const { databases, freshPrefix, natsUrl, tls } = await testInfrastructure();

/** A process whose database is not there yet. */
let config: OrdersConfig;
let databaseName: string;
beforeAll(async () => {
  const prefix = freshPrefix();
  databaseName = `orders_${prefix.replace("-", "_")}`;
  config = {
    listen: { host: "127.0.0.1", port: 0 },
    tls: await tls("orders"),
    databaseUrl: databases.url(databaseName),
    nats: { servers: natsUrl, prefix },
    dataKeys: DataKeys.random(),
    inventoryAddress: "dns:///127.0.0.1:1",
    currency: "GBP",
    logLevel: "silent",
    shutdownGraceMs: 1000,
  };
});

async function healthOf({ address }: { address: string }) {
  const client = { source: await tls("probe"), server: "orders" };
  return createGrpcClient(Health, { address: `dns:///${address}`, tls: client });
}

test("orders start without a database, and serve when it is there", async () => {
  await using service = await create(config);
  using health = await healthOf(service);
  const statuses = health.watch({ service: OrderService.typeName })[Symbol.asyncIterator]();
  expect((await statuses.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  const { status } = await health.check({ service: "liveness" });
  expect(status).toBe(Status.SERVING);

  const url = await databases.create(databaseName);
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  expect((await statuses.next()).value).toMatchObject({ status: Status.SERVING });
  await statuses.return?.();
});

test("orders on an address that is taken reject, and leave the other process alone", async () => {
  await using service = await create(config);
  const port = Number(service.address.split(":").at(-1));
  await expect(create({ ...config, listen: { ...config.listen, port } })).rejects.toThrow("taken");
  using health = await healthOf(service);
  expect(await health.check({ service: "liveness" })).toMatchObject({ status: Status.SERVING });
});
