import { afterEach, beforeEach, expect, test } from "vitest";
import { Flag, FrameType } from "../src/frame.js";
import { defaultHttp2Limits } from "../src/index.js";
import { type EchoServer, startEcho } from "./echo-server.js";
import { frame, headerBlock, open, pseudoFields, RawClient } from "./raw-client.js";

// Header blocks that are small on the wire and large in memory, on streams that are kept open.

const { HEADERS, CONTINUATION } = FrameType;
const { maxHeaderListBytes, maxStreams } = defaultHttp2Limits;

let server: EchoServer;
beforeEach(async () => void (server = await startEcho()));
afterEach(() => server[Symbol.asyncDispose]());

/** A field that goes into the table, as the newest: index 62 (RFC 7541, section 2.3.3). */
function indexed(name: string, value: string): Buffer {
  const [, ...literal] = headerBlock([[name, value]]);
  return Buffer.from([0x40, ...literal]);
}

const request = headerBlock(pseudoFields("/hang"));
const newest = Buffer.from([0x80 | 62]);

test.each([
  ["a small field (CVE-2026-49975, CVE-2026-47774)", "c", ""],
  ["a cookie (CVE-2026-49975)", "cookie", "a"],
  ["a large field (CVE-2016-6581)", "x-large", "x".repeat(120)],
])("references to %s are kept no further than the limit of a header list", async (_, ...field) => {
  using client = await RawClient.greet(server.port);
  await client.ask(
    frame(HEADERS, Flag.END_HEADERS, 1, Buffer.concat([request, indexed(...field)])),
  );
  const bomb = Buffer.concat([request, Buffer.alloc(15_000, newest)]);
  for (let stream = 3; stream < 2 * maxStreams; stream += 2)
    client.send(
      frame(HEADERS, 0, stream, bomb),
      frame(CONTINUATION, Flag.END_HEADERS, stream, Buffer.alloc(15_000, newest)),
    );
  await client.ask();
  expect(server.headers).toHaveLength(maxStreams);
  const mostFields = maxHeaderListBytes / 32;
  for (const headers of server.headers.slice(1)) {
    expect(headers.isTooLarge).toBe(true);
    expect(headers.fields.length).toBeLessThan(mostFields);
    // All of them are one object, which the table has as well.
    expect(new Set(headers.fields).size).toBe(1);
  }
});

test("a header list that is too large leaves the table right for the next request", async () => {
  using client = await RawClient.greet(server.port);
  const large = Array.from({ length: 200 }, () => indexed("x-large", "x".repeat(100)));
  const last = indexed("x-last", "yes");
  const block = Buffer.concat([request, ...large, last]);
  await client.ask(
    frame(HEADERS, 0, 1, block.subarray(0, 16_000)),
    frame(CONTINUATION, Flag.END_HEADERS, 1, block.subarray(16_000)),
  );
  await client.ask(frame(HEADERS, Flag.END_HEADERS, 3, Buffer.concat([request, newest])));
  const [first, second] = server.headers;
  expect(first!.isTooLarge).toBe(true);
  expect(second!.fields).toMatchObject([{ name: "x-last", value: "yes" }]);
});

test.each([
  ["a text of 2 MB that never comes (CVE-2023-33953)", "007f80fa7e"],
  ["a number with a thousand zeros before it (CVE-2023-33953)", `7f${"80".repeat(1_000)}00`],
  ["a number above 2^32 (CVE-2023-36478)", "007fffffffff7f"],
])("%s ends the connection with COMPRESSION_ERROR", async (_, hex) => {
  using client = await RawClient.greet(server.port);
  await client.ask(frame(HEADERS, Flag.END_HEADERS, 1, hex));
  expect(client.goaway).toBe("COMPRESSION_ERROR");
  using other = await RawClient.greet(server.port);
  await other.ask(open(1), frame(FrameType.DATA, Flag.END_STREAM, 1, "2a"));
  expect(other.dataOf(1)).toEqual(Buffer.from([42]));
});
