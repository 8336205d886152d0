import type { DescService } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { Database, DataKeys, migrate } from "@emporium/database";
import { Events } from "@emporium/events";
import {
  createGrpcClient,
  type GrpcClient,
  GrpcServer,
  type ServiceImpl,
  type Interceptor,
  type TlsSource,
} from "@emporium/grpc";
import { testInfrastructure } from "@emporium/local/test";
import { movableClock } from "@emporium/runtime";
import { PrismaClient } from "../src/generated/prisma/client.js";
import { type CheckoutConfig, create, schema } from "../src/index.js";
import { Faults } from "./faults.js";
import { OrderBook, Warehouse } from "./other-services.js";

/** Servers and callers share one event loop here: its delay is nobody's overload. */
const shedding = { maxEventLoopDelayMs: Infinity };

/** Checkout as it runs in production, one process or more, with the other services in memory. */
export class RunningCheckout {
  readonly clock = movableClock(new Date("2026-12-01T09:00:00Z"));
  /** Orders' own outbox, for events that orders would publish. */
  readonly orders: Database<PrismaClient>;

  private constructor(
    readonly config: CheckoutConfig,
    readonly database: Database<PrismaClient>,
    orders: Database<PrismaClient>,
    readonly faults: Faults,
    readonly warehouse: Warehouse,
    readonly orderBook: OrderBook,
    private readonly caller: TlsSource,
    private readonly by: Interceptor,
    private readonly stack: AsyncDisposableStack,
  ) {
    this.orders = orders;
  }

  /** Prepares all but checkout itself; everything ends with the stack. */
  static async prepare(stack: AsyncDisposableStack): Promise<RunningCheckout> {
    const { by, freshDatabase, freshPrefix, natsUrl, oidc, tls } = await testInfrastructure();
    const ordersTls = await tls("orders");
    const faults = new Faults();
    const warehouse = new Warehouse(faults);
    const orderBook = new OrderBook(faults);
    const [inventoryAddress, ordersAddress] = await Promise.all([
      serve(stack, InventoryService, warehouse.service, await tls("inventory")),
      serve(stack, OrderService, orderBook.service, ordersTls),
    ]);
    const nats = { servers: natsUrl, prefix: freshPrefix() };
    const [databaseUrl, ordersUrl] = await Promise.all(
      ["checkout", "orders"].map(async (name) => migrated(await freshDatabase(name))),
    );
    const database = stack.use(await openDatabase(databaseUrl!));
    const orders = stack.use(await openDatabase(ordersUrl!));
    const events = stack.use(
      await Events.connect({
        ...nats,
        nats: { tls: ordersTls.files },
        source: "orders",
        database: orders,
      }),
    );
    events.startRelay();
    const config: CheckoutConfig = {
      listen: { host: "127.0.0.1", port: 0 },
      tls: await tls("checkout"),
      oidc: oidc("checkout"),
      databaseUrl: databaseUrl!,
      nats,
      dataKeys: DataKeys.random(),
      inventoryAddress,
      ordersAddress,
      currency: "GBP",
      logLevel: "silent",
      shutdownGraceMs: 1_000,
      shedding,
      slowPaymentMs: 100,
      saga: { lingerMs: 5, takeoverMs: 50 },
    };
    warehouse.stock("TEA", 1_000_000, 250);
    warehouse.stock("CUP", 1_000_000, 1_099);
    const [caller, staff] = [await tls("test"), by("admin")];
    return new RunningCheckout(
      config,
      database,
      orders,
      faults,
      warehouse,
      orderBook,
      caller,
      staff,
      stack,
    );
  }

  /** A client of a process, for one of the staff: whose it is that a call is about does not matter. */
  client<Service extends DescService>(service: Service, { address }: { address: string }) {
    const tls = { source: this.caller, server: "checkout" };
    return createGrpcClient(service, {
      address: `dns:///${address}`,
      tls,
      interceptors: [this.by],
    });
  }

  /** Starts one more process and connects to it. */
  async start(differs: Partial<CheckoutConfig> = {}): Promise<GrpcClient<typeof CheckoutService>> {
    const service = this.stack.use(await create({ ...this.config, clock: this.clock, ...differs }));
    return this.stack.use(this.client(CheckoutService, service));
  }
}

async function serve<Service extends DescService>(
  stack: AsyncDisposableStack,
  service: Service,
  handlers: Partial<ServiceImpl<Service>>,
  tls: TlsSource,
): Promise<string> {
  const listen = { host: "127.0.0.1", port: 0 };
  const server = new GrpcServer({ listen, tls, graceMs: 500, shedding });
  server.addService(service, handlers);
  await new Promise<void>((resolve, reject) =>
    server.listen((error) => (error ? reject(error) : resolve())),
  );
  stack.defer(() => server.close());
  return `dns:///${server.address}`;
}

async function migrated(url: string): Promise<string> {
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  return url;
}

function openDatabase(url: string): Promise<Database<PrismaClient>> {
  return Database.open<PrismaClient>({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "test",
  });
}
