import { once } from "node:events";
import { connect, type ClientHttp2Session, constants } from "node:http2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type EchoServer, startEcho } from "./echo-server.js";

let server: EchoServer;
let session: ClientHttp2Session;

beforeEach(async () => {
  server = await startEcho();
  session = connect(`http://127.0.0.1:${server.port}`);
});
afterEach(async () => {
  session.destroy();
  await server[Symbol.asyncDispose]();
});

async function echo(bytes: Buffer, headers: Record<string, string> = {}) {
  const stream = session.request({ ":method": "POST", ":path": "/echo", ...headers });
  const trailers = once(stream, "trailers");
  stream.end(bytes);
  const received: Buffer[] = [];
  for await (const chunk of stream) received.push(chunk as Buffer);
  const [fields] = (await trailers) as [Record<string, string>];
  return { bytes: Buffer.concat(received), trailers: fields };
}

test("node:http2's client gets back what it sent, larger than every window", async () => {
  for (const size of [0, 1, 16_384, 65_535, 65_536, 3_000_000]) {
    const sent = Buffer.alloc(size, "0123456789abcdef");
    const { bytes, trailers } = await echo(sent);
    expect(bytes.equals(sent)).toBe(true);
    expect(trailers["x-end"]).toBe("yes");
  }
});

test("a hundred streams at once each get their own", async () => {
  const all = Array.from({ length: 100 }, (_, index) => Buffer.alloc(10_000, String(index)));
  const echoed = await Promise.all(all.map((bytes) => echo(bytes)));
  expect(echoed.every(({ bytes }, index) => bytes.equals(all[index]!))).toBe(true);
});

test("headers arrive as node:http2's encoder sends them, with and without Huffman and the table", async () => {
  for (let round = 0; round < 50; round++) {
    const headers = Object.fromEntries(
      Array.from({ length: round % 9 }, (_, index) => [
        `x-${index}-${round % 3}`,
        String.fromCharCode(
          ...Array.from({ length: round }, (_, at) => 33 + ((at * 7 + round) % 94)),
        ),
      ]),
    );
    await echo(Buffer.alloc(1), headers);
    const received = server.headers.at(-1)!;
    const known = Object.fromEntries(received.fields.map(({ name, value }) => [name, value]));
    expect(known).toEqual(headers);
    expect(received.path).toBe("/echo");
  }
});

test.each([0, 512, 1_024, 2_048, 4_096, 65_536])(
  "a client whose header table has %d bytes reads every reply",
  async (headerTableSize) => {
    session.settings({ headerTableSize });
    await once(session, "localSettings");
    for (let round = 0; round < 3; round++)
      expect((await echo(Buffer.alloc(1))).trailers["x-end"]).toBe("yes");
  },
);

test("a reply that nobody reads waits, and other streams go on", async () => {
  const stuck = session.request({ ":method": "POST", ":path": "/stuck" });
  stuck.pause();
  stuck.end(Buffer.alloc(60_000));
  await once(stuck, "response");
  expect((await echo(Buffer.alloc(100_000, "x"))).bytes.length).toBe(100_000);
  stuck.close(constants.NGHTTP2_CANCEL);
});

test("a stream that its peer resets is told so", async () => {
  const stream = session.request({ ":method": "POST", ":path": "/hang" });
  await once(stream, "response");
  stream.close(constants.NGHTTP2_CANCEL);
  await expect.poll(() => server.resets.length).toBe(1);
  expect(server.connections[0]!.streams.size).toBe(0);
});

test("a drain lets streams finish, takes no new ones, and closes", async () => {
  const stream = session.request({ ":method": "POST", ":path": "/last" });
  await once(stream, "response");
  const goaway = once(session, "goaway");
  server.connections[0]!.drain();
  await goaway;
  stream.end("done");
  stream.resume();
  await once(stream, "end");
  await once(session, "close");
});
