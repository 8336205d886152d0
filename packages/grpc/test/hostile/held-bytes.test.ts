import { once } from "node:events";
import { expect, test } from "vitest";
import { usedHeap } from "../known/heap.js";
import { startTrial } from "../trial-server.js";
import { callHeaders, Flag, frame, RawPeer, Type } from "./raw-peer.js";

const PADDED = 0x8;
const STREAMS = 3;
const BYTES = 50_000;

test("a message that comes byte by byte in padded frames holds no memory but its own", async () => {
  await using trial = await startTrial({
    ask: ({ text }) => ({ text }),
    async write(notes) {
      for await (const _ of notes);
      return {};
    },
  });
  using peer = await RawPeer.connect(trial.server.address);
  await peer.call(1);
  const before = usedHeap() + process.memoryUsage().arrayBuffers;
  const padded = Buffer.alloc(257);
  padded[0] = 255;
  for (let stream = 3; stream < 3 + 2 * STREAMS; stream += 2) {
    peer.send(
      frame(Type.HEADERS, Flag.END_HEADERS, stream, callHeaders("Write")),
      frame(Type.DATA, 0, stream, Buffer.from([0, 0, 1, 0, 0])),
    );
    const thousand = Buffer.concat(
      Array.from({ length: 1_000 }, () => frame(Type.DATA, PADDED, stream, padded)),
    );
    for (let sent = 0; sent < BYTES; sent += 1_000)
      if (!peer.send(thousand)) await once(peer.socket, "drain");
  }
  peer.send(frame(Type.PING, 0, 0, Buffer.alloc(8)));
  await peer.seen(({ type }) => type === Type.PING);
  const held = usedHeap() + process.memoryUsage().arrayBuffers - before;
  expect(trial.server.callsInFlight).toBe(STREAMS);
  expect(held).toBeLessThan(10_000_000);
});
