import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { migrate } from "@emporium/database";
import { createGrpcClient } from "@emporium/grpc";
import { testInfrastructure } from "@emporium/local/test";
import { expect, test } from "vitest";
import { create, schema } from "../src/index.js";

test("orders start without a database, and serve when it is there", async () => {
  const { databases, freshPrefix, natsUrl } = await testInfrastructure();
  const name = `orders_${freshPrefix().replace("-", "_")}`;
  await using service = await create({
    listen: { host: "127.0.0.1", port: 0 },
    databaseUrl: databases.url(name),
    nats: { servers: natsUrl, prefix: freshPrefix() },
    inventoryAddress: "dns:///127.0.0.1:1",
    currency: "GBP",
    logLevel: "silent",
    shutdownGraceMs: 1000,
  });
  using health = createGrpcClient(Health, { address: `dns:///${service.address}` });
  const statuses = health.watch({ service: OrderService.typeName })[Symbol.asyncIterator]();
  expect((await statuses.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  const { status } = await health.check({ service: "liveness" });
  expect(status).toBe(Status.SERVING);

  const url = await databases.create(name);
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  expect((await statuses.next()).value).toMatchObject({ status: Status.SERVING });
  await statuses.return?.();
});
