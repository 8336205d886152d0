import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorOf, startTrial, type Trial, trialClient } from "../trial-server.js";

let trial: Trial;
let session: ClientHttp2Session;
let reached = 0;
beforeAll(async () => {
  trial = await startTrial({
    ask: ({ text }) => ((reached += 1), { text }),
    async write(notes) {
      let number = 0n;
      for await (const _ of notes) reached += Number(++number > 0n);
      return { number };
    },
  });
});
afterAll(async () => {
  session?.destroy();
  await trial[Symbol.asyncDispose]();
});

const good = {
  ":method": "POST",
  ":path": "/trial.v1.TrialService/Ask",
  "content-type": "application/grpc",
  te: "trailers",
};

function frame(message: Uint8Array, flag = 0, length = message.length) {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

const empty = frame(Buffer.alloc(0));

/** What a server answers to headers and bytes: HTTP and gRPC status, or the stream's error code. */
async function answerTo(headers: OutgoingHttpHeaders, ...bytes: Buffer[]) {
  session = connect(`http://${trial.server.address}`).on("error", () => {});
  const answer: Record<string, unknown> = {};
  const stream = session.request({ ...good, ...headers });
  stream.on("response", (seen) => Object.assign(answer, seen));
  stream.on("trailers", (seen) => Object.assign(answer, seen));
  stream.on("error", () => {}).resume();
  for (const part of bytes) stream.write(part);
  stream.end();
  await new Promise((resolve) => stream.once("close", resolve));
  session.destroy();
  return { http: answer[":status"], grpc: Number(answer["grpc-status"] ?? -1) };
}

const write = { ":path": "/trial.v1.TrialService/Write" };
const unimplemented = { http: 200, grpc: Code.Unimplemented };
const internal = { http: 200, grpc: Code.Internal };

const oddities: [string, OutgoingHttpHeaders, Buffer[], object][] = [
  ["a method that is not there", { ":path": "/trial.v1.TrialService/No" }, [empty], unimplemented],
  [
    "a path with a slash too many",
    { ":path": "//trial.v1.TrialService/Ask" },
    [empty],
    unimplemented,
  ],
  ["a path in other letters", { ":path": "/trial.v1.trialservice/ask" }, [empty], unimplemented],
  ["another content type", { "content-type": "text/plain" }, [empty], { http: 415, grpc: -1 }],
  ["no message", {}, [], unimplemented],
  ["two messages where one belongs", {}, [empty, empty], unimplemented],
  ["a message that says it is compressed and not how", {}, [frame(Buffer.from("x"), 1)], internal],
  [
    "an encoding that nobody knows",
    { "grpc-encoding": "snappy" },
    [frame(Buffer.from("x"), 1)],
    unimplemented,
  ],
  [
    "gzip that is none (CVE-2026-48069)",
    { "grpc-encoding": "gzip" },
    [frame(Buffer.from("no gzip"), 1)],
    internal,
  ],
  [
    "gzip that is cut off (CVE-2026-48069)",
    { "grpc-encoding": "gzip" },
    [frame(gzipSync(Buffer.alloc(1000)).subarray(0, 15), 1)],
    internal,
  ],
  [
    "gzip that grows over the limit",
    { "grpc-encoding": "gzip" },
    [frame(gzipSync(Buffer.alloc(32 * 1024 * 1024)), 1)],
    { http: 200, grpc: Code.ResourceExhausted },
  ],
  [
    "a message that says it is longer than the limit",
    {},
    [frame(Buffer.from("x"), 0, 0xffffffff)],
    { http: 200, grpc: Code.ResourceExhausted },
  ],
  ["a stream with garbage in it", write, [empty, frame(Buffer.from([0x0a, 0x05]))], internal],
  [
    "a stream of gzip that is none (CVE-2026-48068)",
    { ...write, "grpc-encoding": "gzip" },
    [frame(Buffer.from("no gzip"), 1)],
    internal,
  ],
];

test.each(oddities)("%s gets its status, and the next call is answered", async (...given) => {
  const [, headers, bytes, answer] = given;
  expect(await answerTo(headers, ...bytes)).toEqual(answer);
  expect((await trial.client.ask({ text: "next" })).text).toBe("next");
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

const refused: [string, OutgoingHttpHeaders, Buffer[]][] = [
  [
    "a path without its slash (as CVE-2026-33186)",
    { ":path": "trial.v1.TrialService/Ask" },
    [empty],
  ],
  ["a message that stops in its middle", {}, [frame(Buffer.from("x"), 0, 100)]],
  ["a head that stops in its middle", {}, [Buffer.from([0, 0, 0])]],
  ["a timeout that is none", { "grpc-timeout": "soon" }, [empty]],
];

test.each(refused)("%s reaches no handler, and the next call is answered", async (...given) => {
  const [, headers, bytes] = given;
  const before = reached;
  const { grpc } = await answerTo(headers, ...bytes);
  expect(grpc).not.toBe(0);
  expect(reached).toBe(before);
  expect((await trial.client.ask({ text: "next" })).text).toBe("next");
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("a server that closes a stream with code 0 and no status is an error at once (grpc-node #2569)", async () => {
  let calls = 0;
  const server = createServer().on("stream", (stream) => {
    calls++;
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.close(0);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  using client = trialClient(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (const call of [() => client.ask({}), () => client.askAgain({})]) {
    const error = await errorOf(call());
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ code: Code.Internal });
  }
  expect(calls).toBe(2);
  server.close();
});

test("grpc-js is one that has the fixes of 2026 (CVE-2026-101915, -101916, -48068, -48069)", () => {
  const manifest = createRequire(import.meta.url).resolve("@grpc/grpc-js/package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  const [major, minor, patch] = version.split(".").map(Number) as [number, number, number];
  expect(major * 1e6 + minor * 1e3 + patch).toBeGreaterThanOrEqual(1_014_005);
});
