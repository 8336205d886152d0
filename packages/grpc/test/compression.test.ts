import { connect } from "node:http2";
import { gunzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  InventoryService,
  ListProductsRequestSchema,
  ListProductsResponseSchema,
  WatchStockRequestSchema,
} from "@emporium/contracts/inventory/v1";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createGrpcClient, type GrpcClient, GrpcServer } from "../src/index.js";

const handlers: Partial<ServiceImpl<typeof InventoryService>> = {
  listProducts: ({ pageSize }) => ({
    products: Array.from({ length: pageSize }, (_, n) => ({
      sku: `${10000 + n}`,
      title: "WHITE METAL LANTERN",
    })),
  }),
  async *watchStock() {
    yield { levels: Array.from({ length: 100 }, (_, n) => ({ sku: `${10000 + n}`, onHand: 5n })) };
    yield { levels: [{ sku: "10000" }] };
  },
};

let server: GrpcServer;
let client: GrpcClient<typeof InventoryService>;
beforeAll(async () => {
  server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    shedding: { maxEventLoopDelayMs: Infinity },
  });
  server.addService(InventoryService, handlers);
  await new Promise<void>((resolve, reject) =>
    server.listen((error) => (error ? reject(error) : resolve())),
  );
  client = createGrpcClient(InventoryService, { address: server.address });
});
afterAll(async () => {
  client[Symbol.dispose]();
  await server.close();
});

/** One call by a bare HTTP/2 client, which says what it accepts and sees the frames as they come. */
async function call(method: string, request: Uint8Array, accepts?: string) {
  const session = connect(`http://${server.address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": `/emporium.inventory.v1.InventoryService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...(accepts ? { "grpc-accept-encoding": accepts } : {}),
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(request.length, 1);
  stream.end(Buffer.concat([prefix, request]));
  let encoding: unknown;
  stream.on("response", (headers) => (encoding = headers["grpc-encoding"]));
  const bytes = Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>));
  session.close();
  const frames: { compressed: boolean; bytes: Buffer }[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    frames.push({ compressed: bytes[at] === 1, bytes: bytes.subarray(at + 5, end) });
    at = end;
  }
  return { encoding, frames };
}

const page = (pageSize: number) =>
  toBinary(ListProductsRequestSchema, create(ListProductsRequestSchema, { pageSize }));

test("a large answer is compressed for a caller that accepts gzip", async () => {
  const { encoding, frames } = await call("ListProducts", page(200), "identity, deflate,gzip");
  expect(encoding).toBe("gzip");
  expect(frames).toHaveLength(1);
  expect(frames[0]!.compressed).toBe(true);
  const message = fromBinary(ListProductsResponseSchema, gunzipSync(frames[0]!.bytes));
  expect(message.products).toHaveLength(200);
});

test("a very large answer is compressed off the event loop and arrives whole", async () => {
  const { products } = await client.listProducts({ pageSize: 1000 });
  expect(products).toHaveLength(1000);
  const { frames } = await call("ListProducts", page(1000), "gzip");
  expect(frames[0]!.compressed).toBe(true);
});

test.each([undefined, "identity", "deflate", "x-gzip-like"])(
  "a caller that accepts %s gets the answer as it is",
  async (accepts) => {
    const { frames } = await call("ListProducts", page(200), accepts);
    expect(frames[0]!.compressed).toBe(false);
    expect(fromBinary(ListProductsResponseSchema, frames[0]!.bytes).products).toHaveLength(200);
  },
);

test("a small answer is not compressed", async () => {
  const { frames } = await call("ListProducts", page(2), "gzip");
  expect(frames[0]!.compressed).toBe(false);
});

test("of a stream the large messages are compressed and the small ones are not", async () => {
  const request = toBinary(WatchStockRequestSchema, create(WatchStockRequestSchema));
  const { encoding, frames } = await call("WatchStock", request, "gzip");
  expect(encoding).toBe("gzip");
  expect(frames.map(({ compressed }) => compressed)).toEqual([true, false]);
});
