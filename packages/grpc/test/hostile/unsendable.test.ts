import { connect } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import { Health } from "@emporium/contracts/grpc/health/v1";
import { EngineReason } from "@emporium/contracts/options/v1";
import { expect, test } from "vitest";
import { createGrpcClient, engineFailure, type HandlerContext } from "../../src/index.js";
import { errorOf, startTrial } from "../trial-server.js";

const reply = (text: string) => ({ text });

test.each([
  ["a lone surrogate", "a\ud83d", "a\ufffd"],
  ["control characters", "a\r\nb\0", "a\r\nb\0"],
  ["percent signs", "100% %41", "100% %41"],
])("a status text with %s arrives, and the server answers the next call", async (_, text, seen) => {
  await using trial = await startTrial({
    ask: () => {
      throw new ConnectError(text, Code.NotFound);
    },
  });
  for (let times = 0; times < 2; times++)
    expect(await errorOf(trial.client.ask({ text: "x" }))).toMatchObject({
      code: Code.NotFound,
      rawMessage: seen,
    });
});

test("a health check of a service with a name of 300 emoji is NOT_FOUND, and the process lives", async () => {
  await using trial = await startTrial({ ask: ({ text }) => reply(text) });
  using health = createGrpcClient(Health, { address: trial.server.address });
  const error = await errorOf(health.check({ service: "🦜".repeat(300) }));
  expect(error).toMatchObject({ code: Code.NotFound });
  expect((await trial.client.ask({ text: "next" })).text).toBe("next");
});

test.each(["x", "ж", "漢", "🦜", "%"])(
  "text and details of %s stay under 8 KiB on the wire",
  async (character) => {
    await using trial = await startTrial({
      ask: () => {
        const fieldViolations = Array.from({ length: 100 }, (_, index) => ({
          field: `lines[${index}].sku`,
          description: character.repeat(60),
        }));
        const text = character.repeat(3_000);
        throw engineFailure(EngineReason.INVALID_REQUEST, text, { fieldViolations });
      },
    });
    expect(await trailerBytes(trial.server.address)).toBeLessThan(8 * 1024);
  },
);

test("metadata that cannot be sent is left out with a line in the log; the status stays", async () => {
  const metadata = {
    "grpc-status": "0",
    "grpc-message": "all is well",
    connection: "close",
    "content-type": "text/plain",
    "x-latin": "caf\u00e9",
    "x-large": "x".repeat(100_000),
    "x!odd": "name",
    "x-good": "kept",
  };
  await using trial = await startTrial({
    ask: () => {
      throw new ConnectError("There is no such thing", Code.NotFound, metadata);
    },
    read: async function* (_, call: HandlerContext) {
      for (const [name, value] of Object.entries(metadata)) call.responseHeader.set(name, value);
      for (const [name, value] of Object.entries(metadata)) call.responseTrailer.set(name, value);
      yield reply("sent");
    },
  });
  const error = await errorOf(trial.client.ask({ text: "x" }));
  expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "There is no such thing" });
  expect((error as ConnectError).metadata.get("x-good")).toBe("kept");
  expect((error as ConnectError).metadata.get("x-large")).toBeNull();
  const dropped = trial.logged.map(({ name }) => name);
  expect(dropped).toEqual(expect.arrayContaining(["grpc-status", "connection", "x-latin"]));
  expect(await Array.fromAsync(trial.client.read({ text: "x" }))).toMatchObject([reply("sent")]);
});

test.each([0, -1, 17, 99, 1.5, NaN])("a handler's status code of %d is UNKNOWN", async (code) => {
  await using trial = await startTrial({
    ask: () => {
      throw new ConnectError("Odd", code);
    },
  });
  expect(await errorOf(trial.client.ask({ text: "x" }))).toMatchObject({ code: Code.Unknown });
});

test("details that cannot be serialized are left out", async () => {
  await using trial = await startTrial({
    ask: () => {
      const error = new ConnectError("Refused", Code.InvalidArgument);
      const value = { fieldViolations: [{ field: 5 as unknown as string }] };
      error.details.push({ desc: BadRequestSchema, value });
      throw error;
    },
  });
  const error = await errorOf(trial.client.ask({ text: "x" }));
  expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: "Refused" });
});

test("observers and a log that throw end no call", async () => {
  const throwing = () => {
    throw new Error("broken");
  };
  await using trial = await startTrial(
    {
      ask: ({ text }) => {
        if (text === "fail") throw new Error("for the log");
        return reply(text);
      },
    },
    { observers: [throwing], log: { error: throwing } },
  );
  expect((await trial.client.ask({ text: "good" })).text).toBe("good");
  expect(await errorOf(trial.client.ask({ text: "fail" }))).toMatchObject({ code: Code.Internal });
  expect((await trial.client.ask({ text: "good" })).text).toBe("good");
});

test("an error of another service passes on its code, text and details, and none of its metadata", async () => {
  await using downstream = await startTrial({
    ask: () => {
      const metadata = { "set-cookie": "id=1", "x-db-host": "db-7", sunset: "tomorrow" };
      const error = engineFailure(EngineReason.FORBIDDEN, "Not for you");
      for (const [name, value] of Object.entries(metadata)) error.metadata.set(name, value);
      throw error;
    },
  });
  await using trial = await startTrial({
    ask: ({ text }) => downstream.client.ask({ text }),
    read: async function* ({ text }) {
      yield await downstream.client.ask({ text });
    },
  });
  for (const call of [
    trial.client.ask({ text: "x" }),
    Array.fromAsync(trial.client.read({ text: "x" })),
  ]) {
    const error = (await errorOf(call)) as ConnectError;
    expect(error).toMatchObject({ code: Code.PermissionDenied, rawMessage: "Not for you" });
    expect(error.details).toHaveLength(1);
    for (const name of ["set-cookie", "x-db-host", "sunset"])
      expect(error.metadata.get(name)).toBeNull();
  }
});

/** Bytes of the trailers of a failed call, as HTTP/2 counts them. */
async function trailerBytes(address: string): Promise<number> {
  const session = connect(`http://${address}`);
  const call = session.request({
    ":method": "POST",
    ":path": "/trial.v1.TrialService/Ask",
    "content-type": "application/grpc",
    te: "trailers",
  });
  call.end(Buffer.alloc(5));
  const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
  call.on("response", resolve);
  call.resume();
  const headers = Object.entries(await promise);
  session.destroy();
  return headers.reduce((sum, [name, value]) => sum + name.length + String(value).length + 32, 0);
}
