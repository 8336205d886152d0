import { create } from "@bufbuild/protobuf";
import type { Client, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import {
  CountOutcome,
  type CountStockRequest,
  GetProductResponseSchema,
  type GetProductRequest,
  type ImportStockRequest,
  InventoryService,
  Reason,
  ReasonSchema,
  type WatchStockRequest,
} from "@emporium/contracts/inventory/v1";
import { NestFactory } from "@nestjs/core";
import { Module } from "@nestjs/common";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  createFailure,
  createGrpcClient,
  type GrpcClient,
  GrpcController,
  GrpcModule,
  GrpcServer,
  reasonOf,
} from "../src/index.js";

const failure = createFailure(ReasonSchema);

@GrpcController(InventoryService)
class Controller implements Partial<ServiceImpl<typeof InventoryService>> {
  getProduct({ sku }: GetProductRequest, _call: HandlerContext) {
    if (sku === "nothing")
      throw failure(Reason.PRODUCT_NOT_FOUND, "none", { fieldViolations: [{ field: "sku" }] });
    if (sku === "broken") throw new Error("secret");
    return create(GetProductResponseSchema, { product: { sku } });
  }
  async *watchStock({ skus }: WatchStockRequest, { signal }: HandlerContext) {
    for (const sku of skus) yield { levels: [{ sku }] };
    if (skus[0] === "fail")
      throw failure(Reason.PRODUCT_NOT_FOUND, "none", { fieldViolations: [{ field: "sku" }] });
    await new Promise((r) => signal.addEventListener("abort", r));
  }
  async importStock(requests: AsyncIterable<ImportStockRequest>) {
    let received = 0n;
    for await (const _ of requests) received++;
    return { received };
  }
  async *countStock(requests: AsyncIterable<CountStockRequest>) {
    for await (const { sku, counted } of requests)
      yield { sku, discrepancy: counted, outcome: CountOutcome.MATCHED };
  }
  listProducts() {
    return {};
  }
  updateProduct() {
    return {};
  }
  checkStock() {
    return {};
  }
  reserveStock() {
    return {};
  }
  commitReservation() {
    return {};
  }
  releaseReservation() {
    return {};
  }
}

@Module({ controllers: [Controller] })
class App {}

let server: GrpcServer;
let client: GrpcClient<typeof InventoryService>;
let app: Awaited<ReturnType<typeof NestFactory.createMicroservice>>;
beforeAll(async () => {
  server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    shedding: { maxEventLoopDelayMs: Infinity },
    log: { error() {} },
  });
  app = await NestFactory.createMicroservice(GrpcModule.around(App), {
    strategy: server,
    logger: false,
  });
  await app.listen();
  client = createGrpcClient(InventoryService, { address: server.address });
});
afterAll(async () => {
  client[Symbol.dispose]();
  await app.close();
});

test("a unary call is answered", async () => {
  const { product } = await client.getProduct({ sku: "85123A" });
  expect(product?.sku).toBe("85123A");
});
test("a failure arrives with code, reason and detail", async () => {
  const error = await client.getProduct({ sku: "nothing" }).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: Code.NotFound });
  expect(reasonOf(error)).toMatchObject({
    reason: "PRODUCT_NOT_FOUND",
    domain: "inventory.emporium.example",
  });
});
test("an unknown error is INTERNAL with an id and without its text", async () => {
  const error = await client.getProduct({ sku: "broken" }).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: Code.Internal });
  expect(JSON.stringify(error) + String(error)).not.toContain("secret");
});
test("an invalid request is refused with its field", async () => {
  const error = await client.getProduct({ sku: "no good" }).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: Code.InvalidArgument });
  expect(String(error)).toContain("sku");
});
test("a server stream is read and left", async () => {
  const seen: string[] = [];
  for await (const { levels } of client.watchStock({ skus: ["a", "b"] })) {
    seen.push(levels[0]!.sku);
    if (seen.length === 2) break;
  }
  expect(seen).toEqual(["a", "b"]);
  await expect.poll(() => server.callsInFlight).toBe(0);
});
test("a failing stream arrives as its failure", async () => {
  const read = Array.fromAsync(client.watchStock({ skus: ["fail"] }));
  await expect(read).rejects.toMatchObject({ code: Code.NotFound });
});
test("a client stream is counted", async () => {
  async function* entries() {
    for (let i = 0; i < 1000; i++)
      yield {
        importId: "imp_01h455vb4pex5vsknk084sn02q",
        entry: { case: "adjustment" as const, value: { sku: "a", delta: 1n } },
      };
  }
  expect((await client.importStock(entries())).received).toBe(1000n);
});
test("a conversation answers each message", async () => {
  async function* counts() {
    for (let i = 0; i < 100; i++) yield { sku: "a", counted: BigInt(i) };
  }
  const answers = await Array.fromAsync(
    (client as Client<typeof InventoryService>).countStock(counts()),
  );
  expect(answers.map((a) => a.discrepancy)).toEqual(
    Array.from({ length: 100 }, (_, i) => BigInt(i)),
  );
});
