import { RetryInfoSchema } from "@emporium/contracts/google/rpc";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { Database, migrate } from "@emporium/database";
import { Code, createGrpcClient, findDetail, reasonOf } from "@emporium/grpc";
import { create, type InventoryConfig, schema } from "@emporium/inventory";
import { bootInfrastructure } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { newId } from "@emporium/runtime";
import { expect, test } from "vitest";
import { PrismaClient } from "../src/generated/prisma/client.js";
import { stockUp } from "./made-up.js";

const patience = { timeout: 15_000, interval: 50 };

const { by, oidc, tls } = await testInfrastructure();
const own = await tls("inventory");

function configFor(databaseUrl: string, servers: string): InventoryConfig {
  return {
    listen: { host: "127.0.0.1", port: 0 },
    tls: own,
    oidc: oidc("inventory"),
    databaseUrl,
    nats: { servers, prefix: "emporium" },
    currency: "GBP",
    logLevel: "silent",
    shutdownGraceMs: 1_000,
  };
}

test("inventory starts before Postgres and NATS do, and serves as soon as Postgres is there", async () => {
  await using infrastructure = await bootInfrastructure({ durable: false });
  const { postgres, nats, certificates } = infrastructure;
  const url = await postgres.databases.create("inventory");
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  await Promise.all([postgres.stop(), nats.stop()]);

  const tls = await certificates.sourceOf("inventory");
  await using inventory = await create({ ...configFor(url, nats.url), tls });
  const caller = await certificates.sourceOf("checkout");
  const address = `dns:///${inventory.address}`;
  const options = { address, tls: { source: caller, server: "inventory" } };
  using health = createGrpcClient(Health, options);
  const interceptors = [by("admin")];
  using client = createGrpcClient(InventoryService, { ...options, interceptors });
  const status = async () => Status[(await health.check({})).status];
  expect(await status()).toBe("NOT_SERVING");

  await postgres.start();
  await expect.poll(status, patience).toBe("SERVING");
  await stockUp(client, { a: 1 });
  expect((await client.listProducts({})).products).toHaveLength(1);

  await using database = await Database.open<PrismaClient>({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "inventory test",
  });
  const waiting = () => database.prisma.outbox.count({ where: { publishTime: null } });
  expect(await waiting()).toBeGreaterThan(0);
  await nats.start();
  await expect.poll(waiting, patience).toBe(0);
});

test("while Postgres is away callers hear that it is worth to ask again, and nothing more", async () => {
  await using infrastructure = await bootInfrastructure({ durable: false });
  const { postgres, nats, certificates } = infrastructure;
  const url = await postgres.databases.create("inventory");
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  const tls = await certificates.sourceOf("inventory");
  await using inventory = await create({ ...configFor(url, nats.url), tls });
  const caller = await certificates.sourceOf("checkout");
  const address = `dns:///${inventory.address}`;
  using client = createGrpcClient(InventoryService, {
    address,
    tls: { source: caller, server: "inventory" },
    interceptors: [by("admin")],
  });
  await stockUp(client, { a: 1 });
  const reservation = { reservationId: newId("rsv"), lines: [{ sku: "a", quantity: 1n }] };
  const calls: [string, () => Promise<unknown>][] = [
    ["by Prisma", () => client.listProducts({})],
    ["by SQL", () => client.checkStock({ skus: ["a"] })],
    ["in a transaction", () => client.reserveStock(reservation)],
    ["as a stream", () => Array.fromAsync(client.watchStock({ skus: ["a"] }))],
  ];
  await postgres.stop();
  for (const [how, call] of calls) {
    const error: unknown = await call().catch((error: unknown) => error);
    expect([how, reasonOf(error)?.reason]).toEqual([how, "DEPENDENCY_AWAY"]);
    expect(error).toMatchObject({ code: Code.Unavailable });
    expect(findDetail(error, RetryInfoSchema)?.retryDelay?.seconds).toBe(1n);
    expect(String(error)).not.toMatch(/postgres|127\.0\.0\.1|prisma/i);
  }
  await postgres.start();
  await expect
    .poll(
      () =>
        client.reserveStock(reservation).then(
          () => true,
          () => false,
        ),
      patience,
    )
    .toBe(true);
});

test("an address that is taken is told in one line that names what to change", async () => {
  await using first = await create(configFor("postgresql://127.0.0.1:1/none", "127.0.0.1:1"));
  const [host = "", port] = first.address.split(":");
  const config = configFor("postgresql://127.0.0.1:1/none", "127.0.0.1:1");
  await expect(create({ ...config, listen: { host, port: Number(port) } })).rejects.toThrow(
    /Cannot listen on .*: it is taken.*GRPC_LISTEN_ADDR/,
  );
});
