import type { ServiceImpl } from "@connectrpc/connect";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { type CallObserver, GrpcController, GrpcModule, GrpcServer } from "@emporium/grpc";
import { Certificates } from "@emporium/local";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { served } from "./rpc/served.js";

/** What a server of a bench answers with, and who is told of its calls. */
interface EngineServer {
  inventory?: Partial<ServiceImpl<typeof InventoryService>>;
  orders?: Partial<ServiceImpl<typeof OrderService>>;
  observers?: CallObserver[];
  /** Folder of certificates for mTLS; plaintext where absent. */
  certificates?: string | undefined;
}

const unimplemented = () => {
  throw new Error("not measured");
};

/** This engine inside Nest with validation, policy and limits; what observes calls is the caller's to say. */
export async function serveEngine({
  inventory = {},
  orders = {},
  observers = [],
  certificates,
}: EngineServer): Promise<void> {
  class Inventory {}
  Object.assign(Inventory.prototype, inventory);
  class Orders {}
  Object.assign(Orders.prototype, orders);
  for (const [target, service] of [
    [Inventory, InventoryService],
    [Orders, OrderService],
  ] as const) {
    const prototype = target.prototype as Record<string, unknown>;
    for (const { localName } of service.methods) prototype[localName] ??= unimplemented;
    GrpcController(service)(target);
  }
  class App {}
  Module({ controllers: [Inventory, Orders] })(App);

  const tls =
    certificates === undefined
      ? undefined
      : await (await Certificates.open(certificates)).sourceOf("orders");
  const server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    ...(tls && { tls }),
    // On, and asked at every call; but what a busy neighbour does to the machine refuses none of them.
    shedding: { maxEventLoopDelayMs: 60_000 },
    observers,
  });
  const app = await NestFactory.createMicroservice(GrpcModule.around(App), {
    strategy: server,
    logger: ["error"],
  });
  await app.listen();
  served(Number(server.address.split(":")[1]));
}
