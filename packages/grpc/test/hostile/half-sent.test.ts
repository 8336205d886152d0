import { expect, test } from "vitest";
import { movableEngineClock } from "../../src/testing.js";
import { startTrial } from "../trial-server.js";
import { usedHeap } from "../known/heap.js";
import { callHeaders, Flag, frame, RawPeer, Type } from "./raw-peer.js";

/** Half-sent calls; `HOSTILE=full` makes 50,000. */
const CONNECTIONS = process.env["HOSTILE"] === "full" ? 500 : 20;
const CALLS = 100;

/** Milliseconds that `AskBriefly` may take by its contract, and that a request may be late. */
const LONGEST = 200 + 5_000;

test(
  `${CONNECTIONS * CALLS} requests that stop half way are over 5 s after their method's longest time, and leave nothing`,
  { timeout: 300_000 },
  async () => {
    const clock = movableEngineClock();
    await using trial = await startTrial({ askBriefly: ({ text }) => ({ text }) }, { clock });
    const before = usedHeap();
    const peers = await Promise.all(
      Array.from({ length: CONNECTIONS }, (_, at) =>
        // As many addresses as it takes: each may have 4,000 calls at once.
        RawPeer.connect(trial.server.address, `127.0.0.${2 + Math.floor(at / 40)}`),
      ),
    );
    const headers = callHeaders("AskBriefly");
    // Five bytes that promise a hundred more.
    const half = frame(Type.DATA, 0, 0, Buffer.from([0, 0, 0, 0, 100, 1, 2, 3]));
    for (const peer of peers)
      for (let call = 0; call < CALLS; call++) {
        half.writeUInt32BE(call * 2 + 1, 5);
        peer.send(frame(Type.HEADERS, Flag.END_HEADERS, call * 2 + 1, headers), Buffer.from(half));
      }
    // What a server answers came in before it.
    for (const peer of peers) peer.send(frame(Type.PING, 0, 0, Buffer.alloc(8)));
    await Promise.all(peers.map((peer) => peer.seen(({ type }) => type === Type.PING)));
    const ended = (peer: RawPeer) =>
      peer.frames.filter(
        ({ type, flags }) => type === Type.HEADERS && (flags & Flag.END_STREAM) > 0,
      );
    clock.advance(LONGEST - 100);
    expect((await trial.client.askBriefly({ text: "x" })).text).toBe("x");
    expect(peers.flatMap(ended)).toHaveLength(0);
    clock.advance(200);
    await expect
      .poll(() => peers.map((peer) => ended(peer).length), { timeout: 60_000, interval: 200 })
      .toEqual(peers.map(() => CALLS));
    expect(trial.server.refusals.of("half_sent")).toBe(CONNECTIONS * CALLS);
    for (const peer of peers) peer[Symbol.dispose]();
    await expect.poll(() => trial.server.connections).toBe(1);
    await expect
      .poll(() => usedHeap() - before, { timeout: 30_000, interval: 500 })
      .toBeLessThan(50_000_000);
  },
);

test("a stream whose caller does not end its side is over as well, once its time is", async () => {
  const clock = movableEngineClock();
  await using trial = await startTrial(
    {
      async writeBriefly(notes) {
        for await (const _ of notes);
        return {};
      },
    },
    { clock },
  );
  using peer = await RawPeer.connect(trial.server.address);
  peer.send(frame(Type.HEADERS, Flag.END_HEADERS, 1, callHeaders("WriteBriefly")));
  await expect.poll(() => trial.server.callsInFlight).toBe(1);
  clock.advance(LONGEST + 1);
  const { payload } = await peer.seen(({ type }) => type === Type.HEADERS);
  expect(payload.length).toBeGreaterThan(0);
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});
