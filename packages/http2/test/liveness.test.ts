import { afterEach, beforeEach, expect, test } from "vitest";
import { Flag, FrameType, Setting } from "../src/frame.js";
import { defaultHttp2Limits } from "../src/index.js";
import { type EchoServer, startEcho } from "./echo-server.js";
import { frame, open, RawClient, uint32 } from "./raw-client.js";

const limits = defaultHttp2Limits;

let server: EchoServer;
beforeEach(async () => void (server = await startEcho()));
afterEach(() => server[Symbol.asyncDispose]());

/** Lets so much time pass for the server, which looks at the clock once in between. */
function pass(...ms: number[]): void {
  let nowMs = performance.now();
  for (const step of ms) server.connections[0]!.check((nowMs += step));
}

const goaways = (client: RawClient) =>
  client.frames.filter(({ type }) => type === FrameType.GOAWAY).length;

test("a client that says nothing is gone after the time of the preface", async () => {
  using client = await RawClient.connect(server.port);
  await client.until(() => client.frames.length > 0);
  pass(limits.prefaceTimeoutMs - 1_000);
  expect(server.violations).toEqual([]);
  pass(limits.prefaceTimeoutMs + 1_000);
  await client.closed;
  expect(server.violations).toEqual(["silent"]);
});

test("a peer that is silent is asked by PING, and is gone when it does not answer", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask(open(1, "/hang"));
  pass(0, limits.keepaliveTimeMs + 1);
  await client.until(() =>
    client.frames.some(({ type, flags }) => type === FrameType.PING && !(flags & Flag.ACK)),
  );
  pass(limits.keepaliveTimeMs + 2, limits.keepaliveTimeoutMs);
  await client.closed;
  expect(server.violations).toEqual(["silent"]);
  expect(server.resets).toEqual([1]);
});

test("a peer that says anything after a PING is there", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask(open(1, "/hang"));
  pass(0, limits.keepaliveTimeMs + 1);
  await client.ask();
  pass(limits.keepaliveTimeMs + 2, limits.keepaliveTimeoutMs);
  expect(client.goaway).toBeUndefined();
  expect(server.violations).toEqual([]);
});

test("a connection without a stream is drained after its idle time, one with a stream is not", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask(open(1, "/hang"));
  pass(0, limits.maxIdleMs + 1);
  await client.ask(frame(FrameType.RST_STREAM, 0, 1, uint32(8)));
  expect(goaways(client)).toBe(0);
  // The last is for a client that does not answer the PING of a drain.
  pass(limits.maxIdleMs + 2, limits.maxIdleMs + 2, 2_000);
  await client.closed;
  expect(client.goaway).toBe("NO_ERROR");
  expect(server.violations).toEqual([]);
});

test("at its age a connection is drained, and closed when its streams have had their grace", async () => {
  using client = await RawClient.greet(server.port);
  await client.ask(open(1, "/hang"));
  pass(limits.maxAgeMs + 1);
  await client.until(() => goaways(client) > 0);
  expect(server.connections[0]!.streams.size).toBe(1);
  pass(limits.maxAgeMs + limits.maxAgeGraceMs + 1_000);
  await client.closed;
  expect(client.goaway).toBe("NO_ERROR");
  expect(server.resets).toEqual([1]);
});

test("a stream whose window stays 0 does not outlive its connection (CVE-2023-43622)", async () => {
  const none = Buffer.concat([Buffer.from([0, Setting.INITIAL_WINDOW_SIZE]), uint32(0)]);
  using client = await RawClient.greet(server.port, none);
  await client.ask(open(1), frame(FrameType.DATA, Flag.END_STREAM, 1, Buffer.alloc(1_000)));
  expect(server.connections[0]!.waitingBytes).toBe(1_000);
  client.socket.destroy();
  await expect.poll(() => server.resets).toEqual([1]);
  expect(server.connections[0]!.waitingBytes).toBe(0);
});
