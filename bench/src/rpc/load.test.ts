import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { load } from "./load.js";
import { scenarios } from "./subject.js";

test("a round in which a call fails rejects when the last call is over, and begins no other", async () => {
  const bytes = (value: Buffer) => value;
  let [begun, over] = [0, 0];
  const server = new grpc.Server();
  const answer: grpc.handleUnaryCall<Buffer, Buffer> = (_, callback) => {
    begun += 1;
    if (begun === 1) return callback({ code: grpc.status.INTERNAL, details: "broken" });
    setTimeout(() => {
      over += 1;
      callback(null, Buffer.alloc(0));
    }, 50);
  };
  server.register(scenarios["small unary"].path, answer, bytes, bytes, "unary");
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
  const hour = { milliseconds: 3_600_000, messages: 10 };
  await expect(load(port, "small unary", hour)).rejects.toThrow("broken");
  // 64 at once: one failed, and the others ended where they were.
  expect(begun).toBeLessThan(2 * 64);
  expect(over).toBe(begun - 1);
  // Hangs where a connection is left open.
  await new Promise<void>((resolve, reject) => {
    server.tryShutdown((error) => (error ? reject(error) : resolve()));
  });
});
