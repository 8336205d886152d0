import { create as createMessage, type DescService } from "@bufbuild/protobuf";
import {
  CheckStockResponseSchema,
  InventoryService,
  Reason,
  ReasonSchema,
} from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { Database, DataKeys, migrate } from "@emporium/database";
import {
  type Client,
  Code,
  ConnectError,
  createFailure,
  createGrpcClient,
  GrpcServer,
  type ServiceImpl,
  type TlsSource,
} from "@emporium/grpc";
import { type Principal, testInfrastructure } from "@emporium/local/test";
import { movableClock, type MovableClock } from "@emporium/runtime";
import { PrismaClient } from "../src/generated/prisma/client.js";
import { create, schema } from "../src/index.js";

/** Orders as they run in production, one process or more, for one test file. */
export interface RunningOrders extends AsyncDisposable {
  /** A client of the first replica, in the first version of the contract. */
  readonly orders: Client<typeof OrderService>;
  /** Another client of the first replica. */
  client<Service extends DescService>(
    service: Service,
    caller?: { as?: "checkout" | "test"; by?: Principal },
  ): Client<Service>;
  readonly clock: MovableClock;
  /** The service's own tables. */
  readonly database: Database<PrismaClient>;
  readonly databaseUrl: string;
  /** Where the events go. */
  readonly nats: { servers: string; prefix: string };
  /** SKUs that inventory does not know; it knows all others. */
  readonly unknownSkus: Set<string>;
  /** Starts another process on the same database and streams. */
  startReplica(): Promise<Client<typeof OrderService> & AsyncDisposable>;
}

/** Prices hold no tax unless told. */
export async function runOrders({
  taxRateBasisPoints = 0,
  dataKeys = DataKeys.random(),
} = {}): Promise<RunningOrders> {
  await using parts = new AsyncDisposableStack();
  const infrastructure = await testInfrastructure();
  const databaseUrl = await infrastructure.freshDatabase("orders");
  await migrate({
    url: databaseUrl,
    schema: schema.schemaPath,
    migrations: schema.migrationsPath,
  });
  const database = parts.use(
    await Database.open<PrismaClient>({
      url: databaseUrl,
      client: (adapter) => new PrismaClient({ adapter }),
      applicationName: "test",
    }),
  );
  const unknownSkus = new Set<string>();
  const inventory = parts.use(
    await runInventory(unknownSkus, await infrastructure.tls("inventory")),
  );
  const clock = movableClock(new Date("2026-12-01T09:00:00Z"));
  const nats = { servers: infrastructure.natsUrl, prefix: infrastructure.freshPrefix() };
  // For one of the staff, by checkout: whose it is that a call is about does not matter here.
  const caller = {
    tls: { source: await infrastructure.tls("checkout"), server: "orders" },
    interceptors: [infrastructure.by("admin")],
  };
  const config = {
    listen: { host: "127.0.0.1", port: 0 },
    tls: await infrastructure.tls("orders"),
    oidc: infrastructure.oidc("orders"),
    databaseUrl,
    nats,
    dataKeys,
    inventoryAddress: `dns:///${inventory.address}`,
    currency: "GBP",
    taxRateBasisPoints,
    logLevel: "warn",
    shutdownGraceMs: 1000,
    // here the servers share one event loop with the test, which keeps it busy too
    shedding: { maxEventLoopDelayMs: Infinity },
    clock,
  };
  const startReplica = async () => {
    const service = await create(config);
    const client = createGrpcClient(OrderService, {
      ...caller,
      address: `dns:///${service.address}`,
    });
    return Object.assign(client, {
      address: service.address,
      [Symbol.asyncDispose]: async () => {
        client[Symbol.dispose]();
        await service[Symbol.asyncDispose]();
      },
    });
  };
  const orders = parts.use(await startReplica());
  const running = parts.move();
  const certificates = { checkout: caller.tls.source, test: await infrastructure.tls("test") };
  const client = <Service extends DescService>(
    service: Service,
    { as = "checkout", by = "admin" }: { as?: "checkout" | "test"; by?: Principal } = {},
  ): Client<Service> =>
    running.use(
      createGrpcClient(service, {
        ...caller,
        tls: { source: certificates[as], server: "orders" },
        interceptors: [infrastructure.by(by)],
        address: `dns:///${orders.address}`,
      }),
    );
  return {
    orders,
    client,
    clock,
    database,
    databaseUrl,
    nats,
    unknownSkus,
    startReplica,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

const failure = createFailure(ReasonSchema);

/** As much of inventory as orders calls, with failures at will. */
async function runInventory(unknownSkus: Set<string>, tls: TlsSource) {
  const server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    tls,
    shedding: { maxEventLoopDelayMs: Infinity },
  });
  const handlers: Partial<ServiceImpl<typeof InventoryService>> = {
    checkStock({ skus }) {
      if (skus.includes("unavailable")) throw new ConnectError("Closed", Code.Unavailable);
      const fieldViolations = skus.flatMap((sku, index) =>
        unknownSkus.has(sku) ? [{ field: `skus[${index}]`, description: "unknown" }] : [],
      );
      if (fieldViolations.length > 0)
        throw failure(Reason.PRODUCT_NOT_FOUND, "Unknown products", { fieldViolations });
      return createMessage(CheckStockResponseSchema, {
        items: skus.map((sku) => ({ product: { sku } })),
      });
    },
  };
  server.addService(InventoryService, handlers);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.listen((error) => (error ? reject(error) : resolve()));
  await promise;
  return { address: server.address, [Symbol.asyncDispose]: () => server.close() };
}
