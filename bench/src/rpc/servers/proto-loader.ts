import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { served } from "../served.js";
import { order, STREAM_MESSAGES } from "../subject.js";
import { files, includeDirs } from "./definitions.js";

/** grpc-js as its own guide shows it, with the codec of @grpc/proto-loader. */
const definition = loadSync(files, { includeDirs });
const services = {
  inventory: definition["emporium.inventory.v1.InventoryService"] as grpc.ServiceDefinition,
  orders: definition["emporium.orders.v1.OrderService"] as grpc.ServiceDefinition,
};
const server = new grpc.Server({ "grpc.enable_channelz": 0 });
server.addService(services.orders, {
  getOrder: ((_, callback) => callback(null, { order: structuredOrder() })) as grpc.handleUnaryCall<
    unknown,
    unknown
  >,
  exportOrders: ((call) => {
    let sent = 0;
    const more = () => {
      while (sent < STREAM_MESSAGES) {
        sent++;
        if (!call.write({ order: structuredOrder() })) return void call.once("drain", more);
      }
      call.end();
    };
    more();
  }) as grpc.handleServerStreamingCall<unknown, unknown>,
});
server.addService(services.inventory, {
  getProduct: ((call, callback) =>
    callback(null, { product: { sku: call.request.sku } })) as grpc.handleUnaryCall<
    { sku: string },
    unknown
  >,
  importStock: ((call, callback) => {
    let received = 0;
    call.on("data", () => received++);
    call.on("end", () => callback(null, { received }));
  }) as grpc.handleClientStreamingCall<unknown, unknown>,
  countStock: ((call) => {
    call.on("data", ({ sku }: { sku: string }) => call.write({ sku, outcome: 1 }));
    call.on("end", () => call.end());
  }) as grpc.handleBidiStreamingCall<unknown, unknown>,
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  served(port);
});

/** The order made anew, as a handler would. */
function structuredOrder() {
  return {
    ...order,
    total: { ...order.total },
    lines: order.lines.map((line) => ({ ...line, unitPrice: { ...line.unitPrice } })),
  };
}
