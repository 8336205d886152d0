import { once } from "node:events";
import { connect, type ClientHttp2Session, constants } from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  defaultHttp2Limits,
  type HeaderList,
  Http2Connection,
  Http2Stream,
  ReplyField,
  type Violation,
} from "../src/index.js";

const STATUS = new ReplyField(":status", "200");

/** Sends back what it receives. */
class Echo extends Http2Stream {
  static headers: HeaderList[] = [];

  override onRequest(): void {
    Echo.headers.push(this.headers);
    this.respond([STATUS]);
  }

  override onData(buf: Buffer, start: number, end: number): void {
    const bytes = Buffer.from(buf.subarray(start, end));
    const copyTo = (target: Buffer, offset: number) => void bytes.copy(target, offset);
    this.write({ byteLength: bytes.length, copyTo }, () => this.release(bytes.length));
  }

  override onEnd(): void {
    if (this.headers.path !== "/hang") this.end([new ReplyField("x-end", "yes")]);
  }

  override onReset(): void {
    resets++;
  }
}

let resets = 0;
let server: Server;
let connections: Http2Connection[];
let violations: Violation[];
let session: ClientHttp2Session;

beforeEach(async () => {
  resets = 0;
  connections = [];
  violations = [];
  Echo.headers = [];
  server = createServer((socket: Socket) => {
    connections.push(
      new Http2Connection(socket, {
        limits: defaultHttp2Limits,
        createStream: (connection, id, headers) => new Echo(connection, id, headers),
        onConnectionFailed: (violation) => violations.push(violation),
        onStreamRefused: (violation) => violations.push(violation),
      }),
    );
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterEach(async () => {
  session.destroy();
  for (const { socket } of connections) socket.destroy();
  server.close();
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
    const received = Echo.headers.at(-1)!;
    const known = Object.fromEntries(received.fields.map(({ name, value }) => [name, value]));
    expect(known).toEqual(headers);
    expect(received.path).toBe("/echo");
  }
});

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
  await expect.poll(() => resets).toBe(1);
  expect(connections[0]!.streams.size).toBe(0);
});

test("a drain lets streams finish, takes no new ones, and closes", async () => {
  const stream = session.request({ ":method": "POST", ":path": "/last" });
  await once(stream, "response");
  const goaway = once(session, "goaway");
  connections[0]!.drain();
  await goaway;
  stream.end("done");
  stream.resume();
  await once(stream, "end");
  await once(session, "close");
});
