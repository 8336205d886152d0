import { afterAll, beforeAll, expect, test } from "vitest";
import { Flag, FrameType, Setting } from "../src/frame.js";
import { type EchoServer, startEcho } from "./echo-server.js";
import { frame, open, RawClient, uint32 } from "./raw-client.js";

// Rules of RFC 9113 whose breach ends the connection, by their section.

const {
  DATA,
  HEADERS,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  PUSH_PROMISE,
  PING,
  GOAWAY,
  WINDOW_UPDATE,
  CONTINUATION,
} = FrameType;
const { END_STREAM, END_HEADERS, PADDED } = Flag;

let server: EchoServer;
beforeAll(async () => void (server = await startEcho()));
afterAll(() => server[Symbol.asyncDispose]());

const setting = (identifier: number, value: number) =>
  Buffer.concat([Buffer.from([0, identifier]), uint32(value)]);
const closed = [open(1, "/hang"), frame(RST_STREAM, 0, 1, uint32(8)), open(3, "/hang")];

test.each<[rule: string, code: string, ...frames: Buffer[]]>([
  [
    "4.2: a frame of more than 16,384 bytes",
    "FRAME_SIZE_ERROR",
    frame(DATA, 0, 1, Buffer.alloc(16_385)),
  ],
  [
    "4.3: a header block that cannot be decoded",
    "COMPRESSION_ERROR",
    frame(HEADERS, END_HEADERS, 1, "80"),
  ],
  [
    "4.3: a header block that another frame interrupts",
    "PROTOCOL_ERROR",
    frame(HEADERS, 0, 1, "82"),
    frame(PING, 0, 0, Buffer.alloc(8)),
  ],
  ["5.1: DATA of a stream that is idle", "PROTOCOL_ERROR", frame(DATA, 0, 1, "00")],
  [
    "5.1: RST_STREAM of a stream that is idle",
    "PROTOCOL_ERROR",
    frame(RST_STREAM, 0, 1, uint32(8)),
  ],
  [
    "5.1: WINDOW_UPDATE of a stream that is idle",
    "PROTOCOL_ERROR",
    frame(WINDOW_UPDATE, 0, 1, uint32(1)),
  ],
  [
    "5.1: DATA of a stream that its client has reset",
    "STREAM_CLOSED",
    ...closed,
    frame(DATA, 0, 1, "00"),
  ],
  ["5.1: HEADERS of a stream that its client has reset", "STREAM_CLOSED", ...closed, open(1)],
  ["5.1.1: a stream of a server's number", "PROTOCOL_ERROR", open(2)],
  ["6.1: DATA of no stream", "PROTOCOL_ERROR", frame(DATA, 0, 0, "00")],
  ["6.1: more padding than payload", "PROTOCOL_ERROR", open(1), frame(DATA, PADDED, 1, "0500")],
  ["6.1: padding without its length", "PROTOCOL_ERROR", open(1), frame(DATA, PADDED, 1)],
  ["6.2: HEADERS of no stream", "PROTOCOL_ERROR", open(0)],
  [
    "6.2: HEADERS with more padding than payload",
    "PROTOCOL_ERROR",
    frame(HEADERS, END_HEADERS | PADDED, 1, "0582"),
  ],
  ["6.3: PRIORITY of no stream", "PROTOCOL_ERROR", frame(PRIORITY, 0, 0, "0000000010")],
  ["6.4: RST_STREAM of no stream", "PROTOCOL_ERROR", frame(RST_STREAM, 0, 0, uint32(8))],
  [
    "6.4: RST_STREAM of five bytes",
    "FRAME_SIZE_ERROR",
    open(1),
    frame(RST_STREAM, 0, 1, "0000000800"),
  ],
  ["6.5: SETTINGS of a stream", "PROTOCOL_ERROR", open(1), frame(SETTINGS, 0, 1)],
  [
    "6.5: an acknowledgement of SETTINGS with a payload",
    "FRAME_SIZE_ERROR",
    frame(SETTINGS, Flag.ACK, 0, "00"),
  ],
  ["6.5: SETTINGS that are cut off", "FRAME_SIZE_ERROR", frame(SETTINGS, 0, 0, "0003000000")],
  [
    "6.5.2: ENABLE_PUSH of 2",
    "PROTOCOL_ERROR",
    frame(SETTINGS, 0, 0, setting(Setting.ENABLE_PUSH, 2)),
  ],
  [
    "6.5.2: INITIAL_WINDOW_SIZE of 2^31",
    "FLOW_CONTROL_ERROR",
    frame(SETTINGS, 0, 0, setting(Setting.INITIAL_WINDOW_SIZE, 2 ** 31)),
  ],
  [
    "6.5.2: MAX_FRAME_SIZE of 16,383",
    "PROTOCOL_ERROR",
    frame(SETTINGS, 0, 0, setting(Setting.MAX_FRAME_SIZE, 16_383)),
  ],
  [
    "6.5.2: MAX_FRAME_SIZE of 2^24",
    "PROTOCOL_ERROR",
    frame(SETTINGS, 0, 0, setting(Setting.MAX_FRAME_SIZE, 2 ** 24)),
  ],
  ["6.6: PUSH_PROMISE", "PROTOCOL_ERROR", frame(PUSH_PROMISE, END_HEADERS, 1, "0000000282")],
  ["6.7: PING of a stream", "PROTOCOL_ERROR", open(1), frame(PING, 0, 1, Buffer.alloc(8))],
  ["6.7: PING of seven bytes", "FRAME_SIZE_ERROR", frame(PING, 0, 0, Buffer.alloc(7))],
  ["6.8: GOAWAY of a stream", "PROTOCOL_ERROR", frame(GOAWAY, 0, 1, Buffer.alloc(8))],
  ["6.8: GOAWAY of seven bytes", "FRAME_SIZE_ERROR", frame(GOAWAY, 0, 0, Buffer.alloc(7))],
  [
    "6.9: WINDOW_UPDATE of the connection by 0",
    "PROTOCOL_ERROR",
    frame(WINDOW_UPDATE, 0, 0, uint32(0)),
  ],
  ["6.9: WINDOW_UPDATE of three bytes", "FRAME_SIZE_ERROR", frame(WINDOW_UPDATE, 0, 0, "000001")],
  [
    "6.9.1: a window of the connection above 2^31 - 1",
    "FLOW_CONTROL_ERROR",
    frame(WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1)),
  ],
  [
    "6.10: CONTINUATION of no header block",
    "PROTOCOL_ERROR",
    frame(CONTINUATION, END_HEADERS, 1, "82"),
  ],
  [
    "6.10: CONTINUATION of another stream",
    "PROTOCOL_ERROR",
    frame(HEADERS, 0, 1, "82"),
    frame(CONTINUATION, END_HEADERS, 3, "84"),
  ],
  [
    "6.10: CONTINUATION behind a whole header block",
    "PROTOCOL_ERROR",
    open(1),
    frame(CONTINUATION, END_HEADERS, 1, "82"),
  ],
])("%s ends the connection with %s", async (_, code, ...frames) => {
  using client = await RawClient.greet(server.port);
  await client.ask(...frames);
  expect(client.goaway).toBe(code);
  await client.closed;
});

test("3.4: what is no preface of HTTP/2 is cut off at its first wrong byte, without a GOAWAY", async () => {
  using client = await RawClient.connect(server.port);
  client.send(Buffer.from("GET"));
  await client.closed;
  expect(client.goaway).toBeUndefined();
});

test("3.4: a preface that no SETTINGS follow ends the connection with PROTOCOL_ERROR", async () => {
  using client = await RawClient.connect(server.port);
  await client.ask(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), open(1));
  expect(client.goaway).toBe("PROTOCOL_ERROR");
});

test("4.1: frames are read whole, however the bytes are cut", async () => {
  using client = await RawClient.greet(server.port);
  for (const byte of Buffer.concat([open(1), frame(DATA, END_STREAM, 1, "2a2b")]))
    await new Promise((resolve) => client.socket.write(Buffer.from([byte]), resolve));
  await client.ask();
  expect(client.dataOf(1)).toEqual(Buffer.from([42, 43]));
});

test("6.9.2: a smaller INITIAL_WINDOW_SIZE holds for streams that are open, also below zero", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask(open(1), frame(DATA, 0, 1, Buffer.alloc(100)));
  await client.ask(frame(SETTINGS, 0, 0, setting(Setting.INITIAL_WINDOW_SIZE, 50)));
  await client.ask(frame(DATA, 0, 1, Buffer.alloc(10)), frame(WINDOW_UPDATE, 0, 1, uint32(50)));
  expect(client.dataOf(1).length).toBe(100);
  await client.ask(frame(WINDOW_UPDATE, 0, 1, uint32(4)));
  expect(client.dataOf(1).length).toBe(104);
  await client.ask(frame(SETTINGS, 0, 0, setting(Setting.INITIAL_WINDOW_SIZE, 60)));
  expect(client.dataOf(1).length).toBe(110);
});
