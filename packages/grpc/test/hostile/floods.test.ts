import { constants } from "node:http2";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Refusal } from "../../src/index.js";
import { startTrial, type Trial } from "../trial-server.js";
import { callHeaders, emptyMessage, Flag, frame, RawPeer, Type, uint32 } from "./raw-peer.js";

/** Frames in one write of a flood. */
const MANY = 2_000;

let trial: Trial;
beforeEach(async () => {
  trial = await startTrial({
    ask: ({ text }) => ({ text }),
    async write(notes) {
      for await (const _ of notes);
      return {};
    },
  });
});
afterEach(() => trial[Symbol.asyncDispose]());

const times = (count: number, make: (number: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, number) => make(number)));
const open = (stream: number) =>
  frame(Type.HEADERS, Flag.END_HEADERS, stream, callHeaders("Write"));

/** What a flood consists of, from a connection that has made a call (stream 1) and opened stream 3. */
const floods: Record<string, { cause: Refusal; make: (round: number) => Buffer; paced?: boolean }> =
  {
    "calls that are reset as soon as they are made (CVE-2023-44487)": {
      cause: "protocol",
      make: (round) =>
        times(100, (number) => {
          const stream = 5 + (round * 100 + number) * 2;
          const reset = uint32(constants.NGHTTP2_CANCEL);
          return Buffer.concat([open(stream), frame(Type.RST_STREAM, 0, stream, reset)]);
        }),
    },
    "calls that make the server reset them (CVE-2025-8671)": {
      cause: "protocol",
      paced: true,
      make: (round) =>
        times(10, (number) => {
          const stream = 5 + (round * 10 + number) * 2;
          const headers = callHeaders("Write", { "content-length": "0" });
          return Buffer.concat([
            frame(Type.HEADERS, Flag.END_HEADERS, stream, headers),
            frame(Type.DATA, 0, stream, emptyMessage),
          ]);
        }),
    },
    "WINDOW_UPDATE frames that give nothing (CVE-2025-8671)": {
      cause: "protocol",
      make: () => frame(Type.WINDOW_UPDATE, 0, 3, uint32(0)),
    },
    "PING frames, as many as are answered": {
      cause: "ping",
      paced: true,
      make: () => times(100, () => frame(Type.PING, 0, 0, Buffer.alloc(8))),
    },
    "PING frames, more than can be answered": {
      cause: "ping",
      make: () => times(MANY, () => frame(Type.PING, 0, 0, Buffer.alloc(8))),
    },
    "SETTINGS frames": {
      cause: "settings",
      make: () => times(MANY, () => frame(Type.SETTINGS, 0, 0)),
    },
    "empty DATA frames": {
      cause: "idle_frames",
      make: () => times(MANY, () => frame(Type.DATA, 0, 3)),
    },
    "WINDOW_UPDATE frames that give nothing to speak of": {
      cause: "idle_frames",
      make: () => times(MANY, () => frame(Type.WINDOW_UPDATE, 0, 3, uint32(1))),
    },
    "PRIORITY frames": {
      cause: "idle_frames",
      make: () => times(MANY, () => frame(Type.PRIORITY, 0, 3, Buffer.from([0, 0, 0, 0, 16]))),
    },
    "frames of a kind that nobody knows": {
      cause: "idle_frames",
      make: () => times(MANY, () => frame(Type.UNKNOWN, 0, 0, Buffer.alloc(100))),
    },
    "CONTINUATION frames without an end (CVE-2024-27983)": {
      cause: "protocol",
      make: (round) =>
        Buffer.concat([
          round === 0 ? frame(Type.HEADERS, 0, 5, callHeaders()) : Buffer.alloc(0),
          times(100, () => frame(Type.CONTINUATION, 0, 5, Buffer.alloc(0))),
        ]),
    },
  };

test.each(Object.entries(floods))(
  "a flood of %s ends the connection, counted, and others are served",
  async (...given) => {
    const [, { cause, make, paced = false }] = given;
    using peer = await RawPeer.connect(trial.server.address);
    await peer.call(1);
    peer.send(open(3));
    await peer.flood(make, paced);
    expect([...trial.server.refusals.counts]).toEqual([[cause, 1]]);
    expect(peer.goaway).not.toBe(constants.NGHTTP2_NO_ERROR);
    expect((await trial.client.ask({ text: "next" })).text).toBe("next");
    await expect.poll(() => trial.server.callsInFlight).toBe(0);
  },
);
