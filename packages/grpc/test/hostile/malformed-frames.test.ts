import { connect, type ClientHttp2Session } from "node:http2";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { encode } from "@emporium/codec";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { NoteSchema } from "../generated/trial/v1/trial_pb.js";
import { startTrial, type Trial } from "../trial-server.js";

const OK = "0";
const INTERNAL = "13";
const RESOURCE_EXHAUSTED = "8";

let trial: Trial;
let session: ClientHttp2Session;
/** Messages that the handlers got, and whether they came to their end. */
let seen: string[];

beforeAll(async () => {
  trial = await startTrial({
    ask({ text }) {
      seen.push(text, "end");
      return { text };
    },
    async write(notes) {
      for await (const { text } of notes) seen.push(text);
      seen.push("end");
      return { text: seen.join() };
    },
  });
  session = connect(`http://${trial.server.address}`);
});
beforeEach(() => void (seen = []));
afterAll(async () => {
  session.destroy();
  await trial[Symbol.asyncDispose]();
});

/** A message with its prefix. */
function framed(bytes: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

const note = (text: string) => encode(NoteSchema, create(NoteSchema, { text }));

/** The status of a call whose body is this. */
async function send(method: string, body: Buffer, headers: Record<string, string> = {}) {
  const call = session.request({
    ":method": "POST",
    ":path": `/trial.v1.TrialService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const look = (fields: Record<string, unknown>) =>
    fields["grpc-status"] !== undefined && resolve(fields["grpc-status"]);
  call.on("response", look).on("trailers", look).on("error", resolve).resume();
  call.end(body);
  return promise;
}

test.each([
  ["is whole", framed(note("hello")), {}, OK],
  ["is cut in its middle", framed(note("hello")).subarray(0, 8), {}, INTERNAL],
  ["is cut in its prefix", framed(note("hello")).subarray(0, 3), {}, INTERNAL],
  ["has a flag that is neither 0 nor 1", framed(note("hello"), 2), {}, INTERNAL],
  ["is compressed where no encoding is named", framed(note("hello"), 1), {}, INTERNAL],
  [
    "is compressed, by the encoding identity",
    framed(note("hello"), 1),
    { "grpc-encoding": "identity" },
    INTERNAL,
  ],
  ["is no gzip", framed(note("hello"), 1), { "grpc-encoding": "gzip" }, INTERNAL],
  ["is no protobuf", framed(Buffer.from([0xff, 0xff])), {}, INTERNAL],
  ["is larger than allowed", framed(Buffer.alloc(5 * 1024 * 1024)), {}, RESOURCE_EXHAUSTED],
  [
    "is larger than allowed once decompressed",
    framed(gzipSync(Buffer.alloc(5 * 1024 * 1024)), 1),
    { "grpc-encoding": "gzip" },
    RESOURCE_EXHAUSTED,
  ],
])("a unary call whose message %s", async (_, body, headers, status) => {
  expect(await send("Ask", body, headers)).toBe(status);
  expect(seen).toEqual(status === OK ? ["hello", "end"] : []);
});

test.each([
  ["is cut in its middle", framed(note("three")).subarray(0, 9)],
  ["has a flag that is neither 0 nor 1", framed(note("three"), 4)],
  ["is compressed where no encoding is named", framed(note("three"), 1)],
])("a handler never takes an upload for whole whose third message %s", async (_, third) => {
  const body = Buffer.concat([framed(note("one")), framed(note("two")), third]);
  expect(await send("Write", body)).toBe(INTERNAL);
  expect(seen).toEqual(["one", "two"]);
});
