import { once } from "node:events";
import { constants, type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import type { ServerLimits } from "../../src/index.js";
import { newAuthority, sourceOf } from "../authority.js";
import { errorOf, startTrial, trialClient, type TrialHandlers } from "../trial-server.js";
import { callHeaders, emptyMessage, Flag, frame, RawPeer, Type, uint32 } from "./raw-peer.js";

// Envoy's advice for edges (https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge),
// one test a line. Where a default is too large for a test, the same limit is set lower.

const opened: (Socket | ClientHttp2Session)[] = [];
afterEach(() => {
  for (const connection of opened.splice(0)) connection.destroy();
});

const handlers: TrialHandlers = {
  ask: ({ text }) => ({ text }),
  write: () => new Promise(() => {}),
};

async function* endless() {
  for (;;) {
    yield {};
    await setTimeout(10);
  }
}

function start(limits: Partial<ServerLimits> = {}) {
  return startTrial(handlers, { limits, graceMs: 100 });
}

/** A connection that says nothing; resolves when it is there. */
async function knock(address: string): Promise<{ gone: Promise<unknown> }> {
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1").on("error", () => {});
  opened.push(socket);
  const gone = new Promise((resolve) => socket.once("close", resolve));
  await Promise.race([once(socket, "connect"), gone]);
  socket.resume();
  return { gone };
}

async function speak(address: string): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://${address}`).on("error", () => {});
  opened.push(session);
  await once(session, "remoteSettings");
  return session;
}

test("100 calls at once on one connection: callers wait, and one more is refused", async () => {
  let most = 0;
  await using trial = await startTrial({
    ...handlers,
    async ask({ text }) {
      most = Math.max(most, trial.server.callsInFlight);
      await setTimeout(1);
      return { text };
    },
  });
  await Promise.all(Array.from({ length: 300 }, () => trial.client.ask({ text: "x" })));
  expect(most).toBeGreaterThan(50);
  expect(most).toBeLessThanOrEqual(100);
  using peer = await RawPeer.connect(trial.server.address);
  for (let stream = 1; stream <= 201; stream += 2)
    peer.send(frame(Type.HEADERS, Flag.END_HEADERS, stream, callHeaders("Write")));
  const { payload } = await peer.seen(
    ({ type, stream }) => type === Type.RST_STREAM && stream === 201,
  );
  expect(payload.readUInt32BE()).toBe(constants.NGHTTP2_REFUSED_STREAM);
  expect(trial.server.refusals.of("streams_of_connection")).toBe(1);
});

test("64 KiB may be under way to one stream, and no more", async () => {
  await using trial = await start();
  const session = await speak(trial.server.address);
  expect(session.remoteSettings.initialWindowSize).toBe(65_535);
});

test("1 MiB may be under way on one connection, from its first call on", async () => {
  await using trial = await start();
  using peer = await RawPeer.connect(trial.server.address);
  await peer.call(1);
  const { payload } = await peer.seen(
    ({ type, stream }) => type === Type.WINDOW_UPDATE && stream === 0,
  );
  expect(65_535 + payload.readUInt32BE()).toBe(1024 * 1024);
});

test("8 KiB of metadata in one call, and a call with more is RESOURCE_EXHAUSTED", async () => {
  await using trial = await start();
  const ask = (bytes: number) =>
    trial.client.ask({ text: "x" }, { headers: { "x-ballast": "y".repeat(bytes) } });
  expect((await ask(7_000)).text).toBe("x");
  expect(await errorOf(ask(8_200))).toMatchObject({ code: Code.ResourceExhausted });
  expect(trial.server.refusals.of("metadata")).toBe(1);
});

test("more header fields than any call needs end the call and not the server", async () => {
  await using trial = await start();
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`x-${at}`, "y"]));
  using peer = await RawPeer.connect(trial.server.address);
  peer.send(frame(Type.HEADERS, Flag.END_HEADERS, 1, callHeaders("Ask", many)));
  peer.send(frame(Type.DATA, Flag.END_STREAM, 1, emptyMessage));
  await peer.seen(({ type, stream }) => stream === 1 && type !== Type.WINDOW_UPDATE);
  expect((await trial.client.ask({ text: "next" })).text).toBe("next");
});

test("so many connections at once, and no more", async () => {
  await using trial = await start({ maxConnections: 3 });
  const [first] = await Promise.all(Array.from({ length: 3 }, () => speak(trial.server.address)));
  await (
    await knock(trial.server.address)
  ).gone;
  expect(trial.server.refusals.of("connections")).toBe(1);
  first!.destroy();
  await expect
    .poll(() => trial.client.ask({ text: "x" }).then(({ text }) => text, String))
    .toBe("x");
});

test("so many connections from one address, while another address still gets in", async () => {
  await using trial = await startTrial(handlers, {
    limits: { maxConnectionsPerPeer: 2 },
    listen: { host: "0.0.0.0", port: 0 },
  });
  const port = trial.server.address.split(":")[1];
  await Promise.all(Array.from({ length: 2 }, () => speak(`127.0.0.1:${port}`)));
  await (
    await knock(`127.0.0.1:${port}`)
  ).gone;
  expect(trial.server.refusals.of("connections_of_peer")).toBe(1);
  const other = connect({ port: Number(port), host: "127.0.0.1", localAddress: "127.0.0.2" });
  opened.push(other);
  other.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  other.write(frame(Type.SETTINGS, 0, 0));
  await once(other, "data");
});

test("so many calls at once from one address, over all of its connections", async () => {
  await using trial = await start({ maxCallsPerPeer: 3 });
  const peers = await Promise.all(
    Array.from({ length: 4 }, () => RawPeer.connect(trial.server.address)),
  );
  const call = frame(Type.HEADERS, Flag.END_HEADERS, 1, callHeaders("Write"));
  for (const peer of peers) {
    peer.send(call, frame(Type.PING, 0, 0, Buffer.alloc(8)));
    await peer.seen(({ type }) => type === Type.PING);
  }
  const { payload } = await peers[3]!.seen(({ type }) => type === Type.RST_STREAM);
  expect(payload.readUInt32BE()).toBe(constants.NGHTTP2_REFUSED_STREAM);
  expect(trial.server.refusals.of("calls_of_peer")).toBe(1);
  for (const peer of peers) peer[Symbol.dispose]();
});

test("calls that are over, in whatever way, no longer count", async () => {
  await using trial = await start({ maxCallsPerPeer: 5 });
  for (let round = 0; round < 20; round++) {
    const caller = new AbortController();
    const given = trial.client.write(endless(), { signal: caller.signal });
    await expect.poll(() => trial.server.callsInFlight, { interval: 1 }).toBe(1);
    caller.abort();
    expect(await errorOf(given)).toMatchObject({ code: Code.Canceled });
    expect((await trial.client.ask({ text: "x" })).text).toBe("x");
  }
  expect(trial.server.refusals.of("calls_of_peer")).toBe(0);
});

test("so many TLS handshakes under way from one address", async () => {
  const authority = await newAuthority();
  const tls = sourceOf(await authority.issue("trial"));
  await using trial = await startTrial(handlers, { tls, limits: { maxHandshakesPerPeer: 2 } });
  await Promise.all(Array.from({ length: 2 }, () => knock(trial.server.address)));
  await (
    await knock(trial.server.address)
  ).gone;
  expect(trial.server.refusals.of("handshakes_of_peer")).toBe(1);
});

test("a TLS handshake takes so long, and no longer", async () => {
  const authority = await newAuthority();
  const tls = sourceOf(await authority.issue("trial"));
  await using trial = await startTrial(handlers, { tls, limits: { handshakeTimeoutMs: 100 } });
  await (
    await knock(trial.server.address)
  ).gone;
  expect(trial.server.refusals.of("handshake")).toBe(1);
});

test("who connects and says nothing is sent away", async () => {
  await using trial = await start({ handshakeTimeoutMs: 100 });
  await (
    await knock(trial.server.address)
  ).gone;
  expect(trial.server.refusals.of("handshake")).toBe(1);
});

test("who says much and makes no call is sent away", async () => {
  await using trial = await start();
  using peer = await RawPeer.connect(trial.server.address);
  const update = frame(Type.WINDOW_UPDATE, 0, 0, uint32(1));
  await peer.flood(() => Buffer.concat(Array.from({ length: 100 }, () => update)));
  expect(trial.server.refusals.of("no_call")).toBe(1);
});

test("who floods over and over is kept out, also with new connections", async () => {
  await using trial = await start({ maxFloodsPerPeer: 2 });
  for (const _ of [1, 2]) {
    using peer = await RawPeer.connect(trial.server.address);
    peer.send(frame(Type.WINDOW_UPDATE, 0, 0, Buffer.alloc(4)));
    await peer.closed;
  }
  await (
    await knock(trial.server.address)
  ).gone;
  expect(trial.server.refusals.of("flooder")).toBe(1);
});

test("a connection without a call is closed after its idle time", async () => {
  await using trial = await start({ maxConnectionIdleMs: 100 });
  const session = await speak(trial.server.address);
  await once(session, "close");
});

test("a connection is told to go away at its age, and its calls have a grace", async () => {
  await using trial = await start({ maxConnectionAgeMs: 200, maxConnectionAgeGraceMs: 200 });
  const session = await speak(trial.server.address);
  const goaway = once(session, "goaway");
  const call = session.request({ ":method": "POST", ":path": "/trial.v1.TrialService/Write" });
  call.on("error", () => {});
  const [code] = (await goaway) as [number];
  expect(code).toBe(constants.NGHTTP2_NO_ERROR);
  await once(session, "close");
});

test("a peer that does not answer a keepalive is gone", async () => {
  await using trial = await start({ keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 });
  using peer = await RawPeer.connect(trial.server.address);
  peer.socket.pause();
  await expect.poll(() => trial.server.connections, { timeout: 10_000 }).toBe(0);
});

test("a large upload is no flood, nor is a large answer", { timeout: 60_000 }, async () => {
  const body = new Uint8Array(100_000);
  await using trial = await startTrial(
    {
      async write(notes) {
        let number = 0n;
        for await (const _ of notes) number++;
        return { number };
      },
      async *read({ number }) {
        for (let sent = 0n; sent < number; sent++) yield { body };
      },
    },
    { limits: { maxIdleBytesPerSecond: 100_000 } },
  );
  using client = trialClient(trial.server.address);
  const until = Date.now() + 3_500;
  async function* notes() {
    while (Date.now() < until) yield { body };
  }
  const upload = client.write(notes());
  const read = Array.fromAsync(client.read({ number: 1_000n }));
  expect((await upload).number).toBeGreaterThan(100n);
  expect(await read).toHaveLength(1_000);
  expect(trial.server.refusals.of("idle_frames")).toBe(0);
});
