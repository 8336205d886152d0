import { Database, migrate } from "@emporium/database";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { createGrpcClient, type GrpcClient } from "@emporium/grpc";
import { create, type InventoryConfig, schema } from "@emporium/inventory";
import { testInfrastructure } from "@emporium/local/test";
import { movableClock, type MovableClock } from "@emporium/runtime";
import { PrismaClient } from "../src/generated/prisma/client.js";

export type InventoryClient = GrpcClient<typeof InventoryService>;

/** A database, a stream prefix, and any number of inventories on them. */
export interface Warehouse {
  /** To look behind the service. */
  readonly database: Database<PrismaClient>;
  readonly nats: { servers: string; prefix: string };
  readonly clock: MovableClock;
  /** Starts one more replica and connects to it; it ends with the stack. */
  open(config?: Partial<InventoryConfig>): Promise<InventoryClient>;
}

/** Makes inventory's tables in an empty database. */
export async function openTables(url: string, stack: AsyncDisposableStack) {
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  return stack.use(
    await Database.open<PrismaClient>({
      url,
      client: (adapter) => new PrismaClient({ adapter }),
      applicationName: "inventory test",
      poolSize: 2,
    }),
  );
}

/** Makes an empty warehouse; everything in it ends with the stack. */
export async function emptyWarehouse(stack: AsyncDisposableStack): Promise<Warehouse> {
  const { freshDatabase, freshPrefix, natsUrl, tls } = await testInfrastructure();
  const databaseUrl = await freshDatabase("inventory");
  const database = await openTables(databaseUrl, stack);
  const nats = { servers: natsUrl, prefix: freshPrefix() };
  const clock = movableClock();
  const [own, test] = await Promise.all([tls("inventory"), tls("test")]);
  const open = async (config: Partial<InventoryConfig> = {}) => {
    const inventory = stack.use(
      await create({
        listen: { host: "127.0.0.1", port: 0 },
        tls: own,
        databaseUrl,
        nats,
        currency: "GBP",
        logLevel: "warn",
        shutdownGraceMs: 2_000,
        // The servers share one event loop with the test, which keeps it busy too.
        shedding: { maxEventLoopDelayMs: Infinity },
        clock,
        ...config,
      }),
    );
    return stack.use(
      createGrpcClient(InventoryService, {
        address: `dns:///${inventory.address}`,
        tls: { source: test, server: "inventory" },
      }),
    );
  };
  return { database, nats, clock, open };
}
