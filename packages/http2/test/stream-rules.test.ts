import { afterAll, beforeAll, expect, test } from "vitest";
import { Flag, FrameType } from "../src/frame.js";
import { type EchoServer, startEcho } from "./echo-server.js";
import { frame, headerBlock, open, pseudoFields, RawClient, uint32 } from "./raw-client.js";

// Rules of RFC 9113 whose breach resets a stream, and what is no breach, by their section.

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE } = FrameType;
const { END_STREAM, END_HEADERS } = Flag;

let server: EchoServer;
beforeAll(async () => void (server = await startEcho()));
afterAll(() => server[Symbol.asyncDispose]());

const fields = (...list: [string, string][]) => frame(HEADERS, END_HEADERS, 1, headerBlock(list));
const more = (name: string, value: string) => open(1, "/echo", [name, value]);
const without = (name: string) => fields(...pseudoFields().filter(([key]) => key !== name));
const half = open(1, "/hang");
const whole = [half, frame(DATA, END_STREAM, 1, "00")];
const trailers = (flags: number, ...list: [string, string][]) =>
  frame(HEADERS, END_HEADERS | flags, 1, headerBlock(list));

test.each<[rule: string, code: string, ...frames: Buffer[]]>([
  [
    "5.1: DATA of a stream whose request is whole",
    "STREAM_CLOSED",
    ...whole,
    frame(DATA, 0, 1, "00"),
  ],
  [
    "5.1: HEADERS of a stream whose request is whole",
    "STREAM_CLOSED",
    ...whole,
    trailers(END_STREAM),
  ],
  ["5.3: PRIORITY of four bytes", "FRAME_SIZE_ERROR", half, frame(PRIORITY, 0, 1, "00000010")],
  ["6.9: WINDOW_UPDATE by 0", "PROTOCOL_ERROR", half, frame(WINDOW_UPDATE, 0, 1, uint32(0))],
  [
    "6.9.1: a window of a stream above 2^31 - 1",
    "FLOW_CONTROL_ERROR",
    half,
    frame(WINDOW_UPDATE, 0, 1, uint32(2 ** 31 - 1)),
  ],
  [
    "6.9.1: DATA beyond the window",
    "FLOW_CONTROL_ERROR",
    open(1, "/keep"),
    ...Array.from({ length: 5 }, () => frame(DATA, 0, 1, Buffer.alloc(16_000))),
  ],
  [
    "8.1: trailers that do not end the request",
    "PROTOCOL_ERROR",
    half,
    trailers(0, ["x-end", "yes"]),
  ],
  [
    "8.1: trailers with a pseudo-header field",
    "PROTOCOL_ERROR",
    half,
    trailers(END_STREAM, [":path", "/"]),
  ],
  [
    "8.1.1: more DATA than content-length says",
    "PROTOCOL_ERROR",
    more("content-length", "1"),
    frame(DATA, 0, 1, "0000"),
  ],
  [
    "8.1.1: less DATA than content-length says",
    "PROTOCOL_ERROR",
    more("content-length", "2"),
    frame(DATA, END_STREAM, 1, "00"),
  ],
  ["8.1.1: a content-length that is no number", "PROTOCOL_ERROR", more("content-length", "-1")],
  ["8.2.1: a name with a capital letter", "PROTOCOL_ERROR", more("X-Name", "a")],
  ["8.2.1: a name with a space", "PROTOCOL_ERROR", more("x name", "a")],
  ["8.2.1: a name without a letter", "PROTOCOL_ERROR", more("", "a")],
  ["8.2.1: a value with a line feed", "PROTOCOL_ERROR", more("x-name", "a\nb")],
  ["8.2.1: a value that begins with a space", "PROTOCOL_ERROR", more("x-name", " a")],
  ["8.2.2: a field of the connection", "PROTOCOL_ERROR", more("connection", "keep-alive")],
  ["8.2.2: te that says more than trailers", "PROTOCOL_ERROR", more("te", "gzip")],
  [
    "8.3: a pseudo-header field behind others",
    "PROTOCOL_ERROR",
    fields(["x-name", "a"], ...pseudoFields()),
  ],
  [
    "8.3: a pseudo-header field that nobody knows",
    "PROTOCOL_ERROR",
    fields([":odd", "a"], ...pseudoFields()),
  ],
  [
    "8.3: a pseudo-header field of replies",
    "PROTOCOL_ERROR",
    fields([":status", "200"], ...pseudoFields()),
  ],
  [
    "8.3: a pseudo-header field that comes twice",
    "PROTOCOL_ERROR",
    fields([":path", "/"], ...pseudoFields()),
  ],
  ["8.3.1: no :method", "PROTOCOL_ERROR", without(":method")],
  ["8.3.1: no :scheme", "PROTOCOL_ERROR", without(":scheme")],
  ["8.3.1: no :path", "PROTOCOL_ERROR", without(":path")],
  ["8.3.1: an empty :path", "PROTOCOL_ERROR", open(1, "")],
])("%s resets the stream with %s, and the next is served", async (_, code, ...frames) => {
  using client = await RawClient.greet(server.port);
  await client.ask(...frames);
  expect(client.resetOf(1)).toBe(code);
  await client.ask(open(3), frame(DATA, END_STREAM, 3, "2a"));
  expect(client.dataOf(3)).toEqual(Buffer.from([42]));
  expect(client.goaway).toBeUndefined();
});

test.each<[rule: string, ...frames: Buffer[]]>([
  ["4.1: a frame of an unknown type", frame(0xaa, 0xff, 0, "00")],
  ["4.1: the reserved bit of a stream's number", frame(PING, 0, 2 ** 31, Buffer.alloc(8))],
  ["4.1: flags that mean nothing", frame(PING, 0xfe, 0, Buffer.alloc(8))],
  ["5.3: a priority", open(1, "/hang"), frame(PRIORITY, 0, 1, "0000000010")],
  ["6.5.2: an unknown setting", frame(SETTINGS, 0, 0, "00ff00000001")],
  ["7: an unknown error code", open(1, "/hang"), frame(RST_STREAM, 0, 1, uint32(0xff))],
  [
    "8.1: DATA of a request that was answered early",
    open(1, "/refuse"),
    frame(DATA, 0, 1, "00"),
    frame(DATA, END_STREAM, 1, "00"),
  ],
  ["8.1: trailers", open(1), trailers(END_STREAM, ["x-end", "yes"])],
])("%s is no fault", async (_, ...frames) => {
  using client = await RawClient.greet(server.port);
  await client.ask(...frames);
  await client.ask(open(3), frame(DATA, END_STREAM, 3, "2a"));
  expect(client.dataOf(3)).toEqual(Buffer.from([42]));
  expect(client.goaway).toBeUndefined();
});
