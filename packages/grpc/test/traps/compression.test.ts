import { once } from "node:events";
import { connect, type ClientHttp2Session } from "node:http2";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { NoteSchema } from "../generated/trial/v1/trial_pb.js";
import { trap } from "./trap.js";
import { engine, type Serve } from "./transports.js";

const BODY = new Uint8Array(100_000).fill(65);

const work = {
  ask: () => ({ body: BODY }),
  async *read() {
    yield { body: BODY };
    yield { text: "small" };
  },
};

/** What came back for an empty request: each frame's compressed flag and message. */
async function frames(session: ClientHttp2Session, method: string, accept?: string) {
  const stream = session.request({
    ":method": "POST",
    ":path": `/trial.v1.TrialService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...(accept === undefined ? {} : { "grpc-accept-encoding": accept }),
  });
  stream.end(Buffer.alloc(5));
  const [headers] = (await once(stream, "response")) as [Record<string, string>];
  const bytes = await buffer(stream);
  const seen = [];
  for (let at = 0; at < bytes.length;) {
    const compressed = bytes[at] === 1;
    const packed = bytes.subarray(at + 5, at + 5 + bytes.readUInt32BE(at + 1));
    const note = fromBinary(NoteSchema, compressed ? gunzipSync(packed) : packed);
    seen.push({ compressed, body: note.body.length, text: note.text });
    at += 5 + packed.length;
  }
  return { encoding: headers["grpc-encoding"] ?? "identity", seen };
}

async function askOverHttp2(serve: Serve, method: string, accept?: string) {
  await using served = await serve(work);
  const session = connect(`http://${served.address}`);
  try {
    return await frames(session, method, accept);
  } finally {
    session.close();
  }
}

const plain = { encoding: "identity", seen: [{ compressed: false, body: 100_000, text: "" }] };
const packed = { encoding: "gzip", seen: [{ compressed: true, body: 100_000, text: "" }] };

trap(10, (serve) => askOverHttp2(serve, "Ask", "identity,deflate,gzip"), {
  nest: ["100 kB for a caller that accepts gzip are sent as they are", plain],
  engine: ["100 kB for a caller that accepts gzip are compressed", packed],
});

test.each([undefined, "identity", "deflate", "xgzip"])(
  "a caller that accepts %s gets the answer as it is",
  async (accept) => {
    expect(await askOverHttp2(engine, "Ask", accept)).toEqual(plain);
  },
);

test("a stream is compressed message by message, the small ones not", async () => {
  expect(await askOverHttp2(engine, "ReadPacked", "gzip")).toEqual({
    encoding: "gzip",
    seen: [
      { compressed: true, body: 100_000, text: "" },
      { compressed: false, body: 0, text: "small" },
    ],
  });
});

test("a method that the contract does not compress is not compressed", async () => {
  const { encoding, seen } = await askOverHttp2(engine, "Read", "gzip");
  expect({ encoding, compressed: seen.map(({ compressed }) => compressed) }).toEqual({
    encoding: "identity",
    compressed: [false, false],
  });
});
