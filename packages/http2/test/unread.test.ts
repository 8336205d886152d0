import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Flag, FrameType, Setting } from "../src/frame.js";
import { type EchoServer, startEcho } from "./echo-server.js";
import { frame, headerBlock, open, pseudoFields, RawClient, uint32 } from "./raw-client.js";

// Peers that ask and do not read (CVE-2019-9511, CVE-2019-9517).

const MAX_UNREAD_BYTES = 2 * 1024 * 1024;

let server: EchoServer;
beforeEach(async () => {
  const maxPingsPerSecond = Infinity;
  server = await startEcho({ maxUnreadBytes: MAX_UNREAD_BYTES, maxPingsPerSecond });
});
afterEach(() => server[Symbol.asyncDispose]());

/** Requests that are answered at once, by headers alone. */
function refused(count: number, first: number): Buffer {
  const block = headerBlock(pseudoFields("/refuse"));
  const flags = Flag.END_HEADERS | Flag.END_STREAM;
  const requests = Array.from({ length: count }, (_, index) =>
    frame(FrameType.HEADERS, flags, first + 2 * index, block),
  );
  return Buffer.concat(requests);
}

/** Sends requests to a server whose answers nobody reads, until something is so. */
async function sendUntil(client: RawClient, isSo: () => boolean): Promise<number> {
  const [connection] = server.connections;
  for (let first = 1; ; first += 2_000) {
    if (isSo()) return first;
    if (!client.socket.write(refused(1_000, first)))
      await Promise.race([once(client.socket, "drain"), once(connection!.socket, "close")]);
    else await setImmediate();
  }
}

test("replies without data that nobody reads end the connection as unread", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask();
  client.socket.pause();
  const [connection] = server.connections;
  await sendUntil(client, () => connection!.isClosed);
  expect(server.violations).toEqual(["unread"]);
  expect(connection!.writer.pendingBytes).toBeLessThan(2 * MAX_UNREAD_BYTES);
});

test("small answers that nobody reads take no more memory than they have bytes", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask();
  client.socket.pause();
  const { socket } = server.connections[0]!;
  const next = await sendUntil(client, () => socket.writableLength > 0);
  client.send(open(next, "/hang"));
  await expect.poll(() => server.headers.at(-1)!.path).toBe("/hang");
  const before = process.memoryUsage().arrayBuffers;
  for (let turn = 0; turn < 500; turn++) {
    const read = once(socket, "data");
    client.send(frame(FrameType.PING, 0, 0, Buffer.alloc(8)));
    await read;
    await setImmediate();
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5_000_000);
  client.socket.resume();
  await client.ask();
  expect(client.goaway).toBeUndefined();
});

test("data that nobody reads waits, and ends the connection as unread when it is too much", async () => {
  await using strict = await startEcho({ maxUnreadBytes: 150_000 });
  const settings = Buffer.concat([Buffer.from([0, Setting.INITIAL_WINDOW_SIZE]), uint32(0)]);
  using client = await RawClient.greet(strict.port, settings);
  const upload = (stream: number) => [
    open(stream),
    ...Array.from({ length: 4 }, () => frame(FrameType.DATA, 0, stream, Buffer.alloc(16_000))),
  ];
  await client.ask(...upload(1), ...upload(3));
  expect(strict.connections[0]!.waitingBytes).toBe(128_000);
  await client.ask(...upload(5));
  expect(client.goaway).toBe("ENHANCE_YOUR_CALM");
  expect(strict.violations).toEqual(["unread"]);
  expect(strict.resets).toEqual([1, 3, 5]);
});
