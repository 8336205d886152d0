import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { DynamicModule, Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { createGrpcClient, type GrpcClient, type GrpcClientOptions } from "./client.js";
import type { EngineClock } from "./engine-clock.js";
import { GrpcModule } from "./module.js";
import { GrpcServer, type GrpcServerOptions } from "./server.js";

/** A server for one test, on a port of its own. Dispose of it to close it and its clients. */
export interface TestServer extends AsyncDisposable {
  readonly server: GrpcServer;
  /** `host:port`. */
  readonly address: string;
  /** A client of one of its services; it closes with the server. */
  client<Service extends DescService>(
    service: Service,
    options?: Omit<GrpcClientOptions, "address">,
  ): GrpcClient<Service>;
}

/** What a test server serves: a Nest module, or handlers without Nest. */
export interface TestServerOptions extends Partial<GrpcServerOptions> {
  module?: Type | DynamicModule;
}

/**
 * Starts a server for a test, on a random free port of the loopback.
 *
 * @example
 * await using shop = await startTestServer({ module: OrdersModule });
 * const orders = shop.client(OrderService);
 * await expect(orders.getOrder({ orderId })).rejects.toMatchObject({ code: Code.NotFound });
 */
export async function startTestServer(
  options: TestServerOptions = {},
  ...services: ServedService[]
): Promise<TestServer> {
  const server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    ...options,
    // A test and its server share one event loop: its delay is nobody's overload.
    shedding: { maxEventLoopDelayMs: Infinity, ...options.shedding },
  });
  for (const add of services) add(server);
  const close = options.module
    ? await listenWithNest(options.module, server)
    : await listenAlone(server);
  const clients: Disposable[] = [];
  return {
    server,
    address: server.address,
    client(service, clientOptions) {
      const client = createGrpcClient(service, { ...clientOptions, address: server.address });
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]();
      await close();
    },
  };
}

type ServedService = (server: GrpcServer) => void;

/**
 * Handlers of a service without Nest, for `startTestServer`. Those that a test does not need may be
 * left out; they answer UNIMPLEMENTED.
 *
 * @example
 * await startTestServer({}, handlers(InventoryService, { getProduct: () => ({}) }));
 */
export function handlers<Service extends DescService>(
  service: Service,
  implementation: Partial<ServiceImpl<Service>>,
): ServedService {
  return (server) => server.addService(service, implementation);
}

async function listenWithNest(module: Type | DynamicModule, strategy: GrpcServer) {
  const app = await NestFactory.createMicroservice(GrpcModule.around(module), {
    strategy,
    logger: ["error"],
  });
  await app.listen();
  return () => app.close();
}

async function listenAlone(server: GrpcServer) {
  await new Promise<void>((resolve, reject) =>
    server.listen((error) => (error ? reject(error) : resolve())),
  );
  return () => server.close();
}

/** A clock of an engine that stands still until it is moved. */
export interface MovableEngineClock extends EngineClock {
  /** Moves on by so many milliseconds, and lets everything happen that is due by then. */
  advance(milliseconds: number): void;
}

/**
 * A clock for `GrpcServerOptions.clock`: what the contract calls `longest` is over when the test
 * says so.
 *
 * @example
 * const clock = movableEngineClock();
 * clock.advance(3_600_000); // every watch has lived its hour
 */
export function movableEngineClock(start = Date.now()): MovableEngineClock {
  let now = start;
  const due = new Set<{ at: number; work: () => void }>();
  return {
    now: () => now,
    after(milliseconds, work) {
      const entry = { at: now + milliseconds, work };
      due.add(entry);
      return () => due.delete(entry);
    },
    advance(milliseconds) {
      now += milliseconds;
      for (const entry of due) if (entry.at <= now && due.delete(entry)) entry.work();
    },
  };
}
