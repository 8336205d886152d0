import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  callHeaders,
  emptyMessage,
  Flag,
  frame,
  headerBlock,
  RawPeer,
  Type,
  uint32,
} from "../hostile/raw-peer.js";
import { newAuthority, sourceOf } from "../authority.js";
import { startTrial, type Trial } from "../trial-server.js";

// Holes that Node's http2 and TLS have had, by raw frames: the process stays up, whoever calls next is
// answered, and nobody is told how the server is built.

let trial: Trial;
beforeAll(async () => {
  trial = await startTrial(
    { ask: ({ text }) => ({ text }) },
    { limits: { maxFloodsPerPeer: Infinity } },
  );
});
afterAll(() => trial[Symbol.asyncDispose]());

const huge = "x".repeat(200_000);

/** What a peer sends after its first frames; the connection may or may not survive it. */
const attacks: Record<string, (peer: RawPeer) => void> = {
  "HEADERS whose HPACK data is broken (CVE-2025-59465)": (peer) =>
    void peer.send(
      frame(Type.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, Buffer.alloc(40, 0xff)),
    ),
  "HEADERS with oversized invalid data, then an abrupt end (CVE-2025-59465)": (peer) => {
    peer.send(
      frame(Type.HEADERS, Flag.END_HEADERS, 1, Buffer.from([0x00, 0x7f, 0xff, 0xff, 0xff, 0x7f])),
    );
    peer.socket.resetAndDestroy();
  },
  "WINDOW_UPDATE on the connection that overflows it (CVE-2026-21714)": (peer) => {
    for (let i = 0; i < 10; i++) peer.send(frame(Type.WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)));
  },
  "more DATA after a GOAWAY for a broken rule (CVE-2026-48937)": (peer) => {
    peer.send(frame(Type.DATA, 0, 0, emptyMessage));
    for (let i = 0; i < 10; i++) peer.send(frame(Type.DATA, 0, 1, emptyMessage));
  },
  "GOAWAY in the middle of a call": (peer) => {
    peer.send(frame(Type.HEADERS, Flag.END_HEADERS, 1, callHeaders()));
    peer.send(frame(Type.GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(11)])));
    peer.send(frame(Type.DATA, Flag.END_STREAM, 1, emptyMessage));
  },
  "a header of 200 kB": (peer) => {
    const block = callHeaders("Ask", { "x-huge": huge });
    peer.send(frame(Type.HEADERS, 0, 1, block.subarray(0, 16_000)));
    for (let at = 16_000; at < block.length; at += 16_000)
      peer.send(frame(Type.CONTINUATION, 0, 1, block.subarray(at, at + 16_000)));
  },
  "HEADERS and CONTINUATION, cut off before their end (CVE-2024-27983)": (peer) => {
    peer.send(frame(Type.HEADERS, 0, 1, callHeaders()));
    for (let i = 0; i < 5; i++) peer.send(frame(Type.CONTINUATION, 0, 1, Buffer.alloc(0)));
    peer.socket.resetAndDestroy();
  },
  "a second HEADERS on a call that has ended": (peer) => {
    peer.send(frame(Type.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, callHeaders()));
    peer.send(frame(Type.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, callHeaders()));
  },
  "trailers that are pseudo-headers": (peer) => {
    peer.send(frame(Type.HEADERS, Flag.END_HEADERS, 1, callHeaders()));
    peer.send(
      frame(Type.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, headerBlock({ ":path": "/" })),
    );
  },
  "SETTINGS that set a table of no size and a window of none": (peer) =>
    void peer.send(
      frame(Type.SETTINGS, 0, 0, Buffer.from([0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0])),
      frame(Type.HEADERS, Flag.END_HEADERS, 1, callHeaders()),
      frame(Type.DATA, Flag.END_STREAM, 1, emptyMessage),
    ),
  "a frame that is longer than allowed": (peer) =>
    void peer.send(frame(Type.DATA, 0, 1, Buffer.alloc(20_000))),
  "HTTP/1.1": (peer) => void peer.send(Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")),
};

test.each(Object.entries(attacks))("%s harms nobody else", async (...given) => {
  const [, attack] = given;
  const before = trial.logged.length;
  using peer = await RawPeer.connect(trial.server.address);
  attack(peer);
  expect((await trial.client.ask({ text: "next" })).text).toBe("next");
  peer.socket.end();
  await peer.closed;
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
  // The attacker's session is cleaned up; the client's own is left.
  await expect.poll(() => trial.server.connections).toBe(1);
  const said = Buffer.concat(peer.frames.map(({ payload }) => payload)).toString("latin1");
  expect(said).not.toMatch(/node:|\.js:|at Object|Error:/);
  // A flood of attacks is a flood of lines otherwise.
  expect(trial.logged.length - before).toBeLessThanOrEqual(1);
});

test("a peer that is no TLS client, or resets in the handshake, harms nobody else", async () => {
  const authority = await newAuthority();
  const source = sourceOf(await authority.issue("trial"));
  const tls = { source: sourceOf(await authority.issue("demo")), server: "trial" };
  await using safe = await startTrial({ ask: ({ text }) => ({ text }) }, { tls: source }, { tls });
  const port = Number(safe.server.address.split(":")[1]);
  for (const bytes of [
    "GET / HTTP/1.1\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "\x15\x03\x03\x00\x02\x02\x28",
  ]) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    await once(socket, "connect");
    socket.write(bytes, "latin1", () => socket.resetAndDestroy());
    await once(socket, "close");
  }
  expect((await safe.client.ask({ text: "next" })).text).toBe("next");
});
