import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { callLog, callMetrics, GrpcController, GrpcModule, GrpcServer } from "@emporium/grpc";
import { createLogger } from "@emporium/runtime";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { served } from "../served.js";
import { inventory, orders } from "./handlers.js";

/** This engine inside Nest with everything on: validation, policy, limits, metrics, a log line a call. */
class Inventory {}
Object.assign(Inventory.prototype, inventory);
class Orders {}
Object.assign(Orders.prototype, orders);
const unimplemented = () => {
  throw new Error("not measured");
};
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

const reader = new PeriodicExportingMetricReader({
  exporter: new InMemoryMetricExporter(AggregationTemporality.DELTA),
  exportIntervalMillis: 5_000,
});
const meters = new MeterProvider({ readers: [reader] });
const server = new GrpcServer({
  listen: { host: "127.0.0.1", port: 0 },
  // On, and asked at every call; but what a busy neighbour does to the machine refuses none of them.
  shedding: { maxEventLoopDelayMs: 60_000 },
  observers: [
    callMetrics(meters.getMeter("bench")),
    callLog(createLogger({ name: "bench", level: "info" })),
  ],
});
const app = await NestFactory.createMicroservice(GrpcModule.around(App), {
  strategy: server,
  logger: ["error"],
});
await app.listen();
served(Number(server.address.split(":")[1]));
