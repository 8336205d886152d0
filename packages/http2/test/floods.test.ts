import { afterEach, beforeEach, expect, test } from "vitest";
import { Flag, FrameType, Setting } from "../src/frame.js";
import type { Violation } from "../src/index.js";
import { type EchoServer, startEcho } from "./echo-server.js";
import { frame, open, RawClient, uint32 } from "./raw-client.js";

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING } = FrameType;
const { WINDOW_UPDATE, CONTINUATION } = FrameType;

/** Small enough that a flood is one write; what is above them is of the same kind. */
const LIMITS = {
  maxPingsPerSecond: 20,
  maxSettingsPerSecond: 20,
  maxIdleFramesPerSecond: 200,
  maxResetsPerSecond: 10,
  maxStreams: 10,
};

let server: EchoServer;
beforeEach(async () => void (server = await startEcho(LIMITS)));
afterEach(() => server[Symbol.asyncDispose]());

const times = (count: number, make: (number: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, number) => make(number)));
const cancel = uint32(8);
const setting = Buffer.concat([Buffer.from([0, Setting.INITIAL_WINDOW_SIZE]), uint32(65_535)]);

test.each<[flood: string, cause: Violation, frames: Buffer]>([
  ["PING frames", "ping", times(21, () => frame(PING, 0, 0, Buffer.alloc(8)))],
  ["answers to no PING", "ping", times(21, () => frame(PING, Flag.ACK, 0, Buffer.alloc(8)))],
  ["SETTINGS frames", "settings", times(21, () => frame(SETTINGS, 0, 0))],
  ["acknowledgements of no SETTINGS", "settings", times(21, () => frame(SETTINGS, Flag.ACK, 0))],
  [
    "settings in one frame",
    "settings",
    frame(
      SETTINGS,
      0,
      0,
      times(33, () => setting),
    ),
  ],
  ["DATA frames without data", "idle_frames", times(201, () => frame(DATA, 0, 1))],
  [
    "DATA frames that are padding",
    "idle_frames",
    times(201, () => frame(DATA, Flag.PADDED, 1, "020000")),
  ],
  ["WINDOW_UPDATE frames", "idle_frames", times(201, () => frame(WINDOW_UPDATE, 0, 1, uint32(1)))],
  ["PRIORITY frames", "idle_frames", times(201, () => frame(PRIORITY, 0, 1, "0000000010"))],
  ["frames of unknown types", "idle_frames", times(201, () => frame(0xaa, 0, 0))],
  [
    "DATA behind an early reply",
    "idle_frames",
    Buffer.concat([open(3, "/refuse"), times(201, () => frame(DATA, 0, 3, "00"))]),
  ],
  [
    "requests that are reset at once",
    "resets",
    times(51, (index) =>
      Buffer.concat([open(3 + 2 * index), frame(RST_STREAM, 0, 3 + 2 * index, cancel)]),
    ),
  ],
  ["requests beyond the limit", "resets", times(61, (index) => open(3 + 2 * index))],
  ["malformed requests", "resets", times(51, (index) => open(3 + 2 * index, ""))],
  [
    "resets that WINDOW_UPDATE by 0 provokes",
    "resets",
    times(51, (index) =>
      Buffer.concat([open(3 + 2 * index), frame(WINDOW_UPDATE, 0, 3 + 2 * index, uint32(0))]),
    ),
  ],
  [
    "resets that a wrong content-length provokes",
    "resets",
    times(51, (index) =>
      Buffer.concat([
        open(3 + 2 * index, "/hang", ["content-length", "0"]),
        frame(DATA, 0, 3 + 2 * index, "00"),
      ]),
    ),
  ],
  [
    "empty CONTINUATION frames",
    "header_block",
    Buffer.concat([frame(HEADERS, 0, 3), times(16, () => frame(CONTINUATION, 0, 3))]),
  ],
  [
    "CONTINUATION frames of 16 kB",
    "header_block",
    Buffer.concat([
      frame(HEADERS, 0, 3),
      times(5, () => frame(CONTINUATION, 0, 3, Buffer.alloc(16_000))),
    ]),
  ],
])("many %s end the connection as %s, and another is served", async (_, cause, frames) => {
  using flooder = await RawClient.greet(server.port);
  await flooder.ask(open(1, "/hang"));
  await flooder.ask(frames);
  expect(flooder.goaway).toBe("ENHANCE_YOUR_CALM");
  await flooder.closed;
  expect(server.violations.at(-1)).toBe(cause);
  expect(server.connections[0]!.streams.size).toBe(0);
  using other = await RawClient.greet(server.port);
  await other.ask(open(1), frame(DATA, Flag.END_STREAM, 1, "2a"));
  expect(other.dataOf(1)).toEqual(Buffer.from([42]));
});

test("what is under a limit in each second ends nothing", async () => {
  using client = await RawClient.greet(server.port);
  for (let second = 0; second < 5; second++) {
    await client.ask(times(10, () => frame(PING, 0, 0, Buffer.alloc(8))));
    await client.ask(times(200, () => frame(DATA, 0, 1).fill(0xaa, 3, 4)));
    server.connections[0]!.check(performance.now());
  }
  expect(client.goaway).toBeUndefined();
});

test("many bytes without a request end the connection as no_request", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask(times(10, () => frame(0xaa, 0, 0, Buffer.alloc(10_000))));
  expect(client.goaway).toBe("ENHANCE_YOUR_CALM");
  expect(server.violations).toEqual(["no_request"]);
});

test("first requests that come in one read with much data are served", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask();
  const uploads = [1, 3, 5].map((stream) =>
    Buffer.concat([open(stream), times(4, () => frame(DATA, 0, stream, Buffer.alloc(16_000)))]),
  );
  await client.ask(...uploads);
  expect([1, 3, 5].map((stream) => client.dataOf(stream).length)).toContain(64_000);
  expect(client.goaway).toBeUndefined();
});

test("the streams that were ended early are not remembered for ever", async () => {
  using client = await RawClient.greet(server.port);
  for (let round = 0; round < 30; round++) {
    // Malformed, refused, and answered early.
    await client.ask(times(8, (index) => open(1 + 2 * (round * 18 + index), "")));
    await client.ask(times(10, (index) => open(17 + 2 * (round * 18 + index), "/refuse")));
    server.connections[0]!.check(performance.now());
  }
  expect(client.goaway).toBeUndefined();
  expect(server.connections[0]!.endedEarly.size).toBe(10 * LIMITS.maxStreams);
});

test("6.8: no GOAWAY of a drain names a later stream than one before", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask(open(1));
  server.connections[0]!.drain();
  await client.ask();
  const drain = client.frames.find(({ type, flags }) => type === PING && !(flags & Flag.ACK));
  await client.ask(frame(PING, Flag.ACK, 0, drain!.payload));
  await client.ask(open(3));
  expect(client.resetOf(3)).toBe("REFUSED_STREAM");
  client.send(frame(DATA, Flag.END_STREAM, 1));
  await client.closed;
  const named = client.frames
    .filter(({ type }) => type === FrameType.GOAWAY)
    .map(({ payload }) => payload.readUInt32BE(0));
  expect(named).toEqual([2 ** 31 - 1, 1, 1]);
});
