import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import { CreateOrderRequestSchema } from "@emporium/contracts/orders/v1";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeRequest, RefusedRequest } from "../../src/contract/request-decoder.js";
import { findDetail } from "../../src/index.js";
import { errorOf, startTrial, type Trial } from "../trial-server.js";

let trial: Trial;
beforeAll(async () => void (trial = await startTrial({ ask: ({ text }) => ({ text }) })));
afterAll(() => trial[Symbol.asyncDispose]());

test("a text that is longer than its rule is refused by the path of its field", async () => {
  const error = await errorOf(trial.client.ask({ text: "x".repeat(5_000) }));
  expect(error).toMatchObject({ code: Code.InvalidArgument });
  expect(findDetail(error, BadRequestSchema)?.fieldViolations).toMatchObject([{ field: "text" }]);
});

test("a request of two million unknown fields is INVALID_ARGUMENT, and the server answers the next", async () => {
  const bomb = Buffer.alloc(3 * 1_300_000, Buffer.from([0xfa, 0x7f, 0x00]));
  const before = process.memoryUsage().heapUsed;
  const errors = await Promise.all(Array.from({ length: 5 }, () => sendRaw(bomb)));
  for (const error of errors) expect(error).toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(60_000_000);
  expect((await trial.client.ask({ text: "next" })).text).toBe("next");
});

test("a bomb of empty order lines ends at the first line too many", async () => {
  const compressed = await promisify(gzip)(Buffer.alloc(2 * 2_097_120, Buffer.from([0x1a, 0x00])));
  expect(compressed.length).toBeLessThan(5_000);
  const field = CreateOrderRequestSchema.fields.find(({ name }) => name === "lines")!;
  const bomb = Buffer.alloc(2 * 2_097_120, Buffer.from([field.number * 8 + 2, 0]));
  const refused = decodeRequest(CreateOrderRequestSchema, bomb);
  expect(refused).toBeInstanceOf(RefusedRequest);
  const violations = findDetail((refused as RefusedRequest).error, BadRequestSchema);
  expect(violations?.fieldViolations).toMatchObject([
    {
      field: "lines",
      reason: "repeated.max_items",
      description: "must contain at most 1000 items",
    },
  ]);
});

/** The error of a unary call whose message is these bytes. */
function sendRaw(bytes: Buffer): Promise<grpc.ServiceError | null> {
  const client = new grpc.Client(trial.server.address, grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const options = { deadline: Date.now() + 20_000 };
  return new Promise<grpc.ServiceError | null>((resolve) => {
    client.makeUnaryRequest(
      "/trial.v1.TrialService/Ask",
      (raw: Buffer) => raw,
      (raw: Buffer) => raw,
      bytes,
      new grpc.Metadata(),
      options,
      (error) => resolve(error),
    );
  }).finally(() => client.close());
}
