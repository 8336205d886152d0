import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Flag, FrameType, Setting } from "../src/frame.js";
import { type EchoServer, startEcho } from "./echo-server.js";
import { frame, headerBlock, open, pseudoFields, RawClient, uint32 } from "./raw-client.js";

let server: EchoServer;
beforeAll(async () => void (server = await startEcho({ maxUnreadBytes: 300_000 })));
afterAll(() => server[Symbol.asyncDispose]());

const stream = fc.integer({ min: 0, max: 6 }).map((half) => 2 * half + 1);
const path = fc.constantFrom("/echo", "/hang", "/keep", "/refuse");
const payload = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));
const size = fc.oneof(fc.nat(20), fc.nat(16_384));
const rules = {
  open: fc.tuple(stream, path).map(([id, to]) => open(id, to)),
  whole: fc.tuple(stream, path).map(([id, to]) => {
    const flags = Flag.END_HEADERS | Flag.END_STREAM;
    return frame(FrameType.HEADERS, flags, id, headerBlock(pseudoFields(to)));
  }),
  data: fc
    .tuple(stream, size, fc.boolean())
    .map(([id, bytes, isEnd]) => frame(FrameType.DATA, Number(isEnd), id, Buffer.alloc(bytes))),
  padded: fc
    .tuple(stream, payload(40))
    .map(([id, bytes]) => frame(FrameType.DATA, Flag.PADDED, id, bytes)),
  reset: fc.tuple(stream).map(([id]) => frame(FrameType.RST_STREAM, 0, id, uint32(8))),
  window: fc
    .tuple(fc.oneof(stream, fc.constant(0)), fc.oneof(fc.nat(70_000), fc.constant(2 ** 31 - 1)))
    .map(([id, change]) => frame(FrameType.WINDOW_UPDATE, 0, id, uint32(change))),
  settings: fc.nat(100_000).map((value) => {
    const setting = Buffer.concat([Buffer.from([0, Setting.INITIAL_WINDOW_SIZE]), uint32(value)]);
    return frame(FrameType.SETTINGS, 0, 0, setting);
  }),
  wild: fc
    .tuple(fc.nat(11), fc.nat(255), fc.nat(4), payload(30))
    .map(([type, flags, id, bytes]) => frame(type, flags, id, bytes)),
};
/** Frames that make sense, and one in thirty that may not. */
const frames = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: rules.open },
    { weight: 3, arbitrary: rules.whole },
    { weight: 9, arbitrary: rules.data },
    { weight: 2, arbitrary: rules.padded },
    { weight: 2, arbitrary: rules.reset },
    { weight: 4, arbitrary: rules.window },
    { weight: 3, arbitrary: rules.settings },
    { weight: 1, arbitrary: rules.wild },
  ),
  { maxLength: 60 },
);

test("whatever frames come, in whatever parts, what waits is counted rightly and all ends with the connection", async () => {
  const property = fc.asyncProperty(frames, fc.nat(5_000), async (sent, part) => {
    const index = server.connections.length;
    using client = await RawClient.greet(server.port);
    await client.ask();
    const connection = server.connections[index]!;
    const bytes = Buffer.concat(sent);
    for (let at = 0; at < bytes.length; at += part + 1_000)
      client.send(bytes.subarray(at, at + part + 1_000));
    await client.ask();
    const waiting = [...connection.streams.values()].reduce(
      (sum, { waitingBytes }) => sum + waitingBytes,
      0,
    );
    expect(connection.waitingBytes).toBe(waiting);
    client.socket.destroy();
    await expect.poll(() => connection.isClosed, { interval: 1 }).toBe(true);
    expect(connection.streams.size).toBe(0);
    expect(connection.waitingBytes).toBe(0);
  });
  await fc.assert(property, { numRuns: 300 });
  using other = await RawClient.greet(server.port);
  await other.ask(open(1), frame(FrameType.DATA, Flag.END_STREAM, 1, "2a"));
  expect(other.dataOf(1)).toEqual(Buffer.from([42]));
});
