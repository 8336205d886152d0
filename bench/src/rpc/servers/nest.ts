import "reflect-metadata";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  GrpcMethod,
  GrpcStreamMethod,
  type MicroserviceOptions,
  Transport,
} from "@nestjs/microservices";
import { count, map, Observable, range } from "rxjs";
import { served } from "../served.js";
import { order, STREAM_MESSAGES } from "../subject.js";
import { files, includeDirs } from "./definitions.js";

/** Nest's own transport, as its documentation shows it. */
@Controller()
class Orders {
  @GrpcMethod("OrderService", "GetOrder")
  getOrder() {
    return { order: newOrder() };
  }

  @GrpcMethod("OrderService", "ExportOrders")
  exportOrders() {
    return range(0, STREAM_MESSAGES).pipe(map(() => ({ order: newOrder() })));
  }
}

@Controller()
class Inventory {
  @GrpcMethod("InventoryService", "GetProduct")
  getProduct({ sku }: { sku: string }) {
    return { product: { sku } };
  }

  @GrpcStreamMethod("InventoryService", "ImportStock")
  importStock(entries: Observable<unknown>) {
    return entries.pipe(
      count(),
      map((received) => ({ received })),
    );
  }

  @GrpcStreamMethod("InventoryService", "CountStock")
  countStock(counts: Observable<{ sku: string }>) {
    return counts.pipe(map(({ sku }) => ({ sku, outcome: 1 })));
  }
}

@Module({ controllers: [Orders, Inventory] })
class App {}

function newOrder() {
  return {
    ...order,
    total: { ...order.total },
    lines: order.lines.map((line) => ({ ...line, unitPrice: { ...line.unitPrice } })),
  };
}

const port = await freePort();
const app = await NestFactory.createMicroservice<MicroserviceOptions>(App, {
  logger: ["error"],
  transport: Transport.GRPC,
  options: {
    url: `127.0.0.1:${port}`,
    package: ["emporium.inventory.v1", "emporium.orders.v1"],
    protoPath: files,
    loader: { includeDirs },
    channelOptions: { "grpc.enable_channelz": 0 } as never,
  },
});
await app.listen();
served(port);

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
