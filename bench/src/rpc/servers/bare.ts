import { create, toBinary } from "@bufbuild/protobuf";
import {
  CountStockResponseSchema,
  GetProductResponseSchema,
  ImportStockResponseSchema,
} from "@emporium/contracts/inventory/v1";
import { ExportOrdersResponseSchema, GetOrderResponseSchema } from "@emporium/contracts/orders/v1";
import * as grpc from "@grpc/grpc-js";
import { served } from "../served.js";
import { typedOrder } from "../typed-order.js";
import { scenarios, STREAM_MESSAGES } from "../subject.js";

/** grpc-js with no codec: answers are bytes that were made before the first call. */
const same = (bytes: Buffer) => bytes;
const bytesOf = (bytes: Uint8Array) => Buffer.from(bytes);
const order = bytesOf(
  toBinary(GetOrderResponseSchema, create(GetOrderResponseSchema, { order: typedOrder() })),
);
const exported = bytesOf(
  toBinary(ExportOrdersResponseSchema, create(ExportOrdersResponseSchema, { order: typedOrder() })),
);
const product = bytesOf(
  toBinary(
    GetProductResponseSchema,
    create(GetProductResponseSchema, { product: { sku: "85123A" } }),
  ),
);
const summary = bytesOf(
  toBinary(ImportStockResponseSchema, create(ImportStockResponseSchema, { received: 1n })),
);
const counted = bytesOf(
  toBinary(
    CountStockResponseSchema,
    create(CountStockResponseSchema, { sku: "85123A", outcome: 1 }),
  ),
);

const server = new grpc.Server({ "grpc.enable_channelz": 0 });
const unary = (reply: Buffer) =>
  ((_, callback) => callback(null, reply)) as grpc.handleUnaryCall<Buffer, Buffer>;
server.register(scenarios["small unary"].path, unary(product), same, same, "unary");
server.register(scenarios["order unary"].path, unary(order), same, same, "unary");
const exportAll: grpc.handleServerStreamingCall<Buffer, Buffer> = (call) => {
  let sent = 0;
  const more = () => {
    while (sent < STREAM_MESSAGES) {
      sent++;
      if (!call.write(exported)) return void call.once("drain", more);
    }
    call.end();
  };
  more();
};
server.register(scenarios["server stream"].path, exportAll, same, same, "serverStream");
const importAll: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
  call.resume();
  call.on("end", () => callback(null, summary));
};
server.register(scenarios["client stream"].path, importAll, same, same, "clientStream");
const count: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on("data", () => call.write(counted));
  call.on("end", () => call.end());
};
server.register(scenarios["bidi ping-pong"].path, count, same, same, "bidi");
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  served(port);
});
