import { expect, test } from "vitest";
import { TrialService } from "../generated/trial/v1/trial_pb.js";
import { startTrial } from "../trial-server.js";
import { fuzz } from "./fuzz.js";
import { mutated, randomNumbers } from "./random-bytes.js";
import { callHeaders, Flag, frame, RawPeer, Type } from "./raw-peer.js";

/** S8. `FUZZ_SECONDS=60` looks longer. */
const DURATION_MS = Number(process.env["FUZZ_SECONDS"] ?? 5) * 1000;

async function* count(notes: AsyncIterable<{ number: bigint }>) {
  for await (const { number } of notes) yield { number };
}

function startFuzzed() {
  const last = async (notes: AsyncIterable<{ number: bigint }>) =>
    (await Array.fromAsync(notes)).at(-1) ?? {};
  return startTrial(
    {
      ask: ({ text, number }) => ({ text, number }),
      askAgain: ({ text }) => ({ text }),
      askTwo: ({ text }) => ({ text }),
      askBriefly: ({ text }) => ({ text }),
      askRiddle: () => ({}),
      async *read(note) {
        yield note;
      },
      async *readPacked(note) {
        yield note;
      },
      async *readBriefly(note) {
        yield note;
      },
      write: last,
      writeBriefly: last,
      talk: count,
      talkBriefly: count,
    },
    { limits: { maxFloodsPerPeer: Infinity } },
  );
}

test(
  "random and broken messages get a status that says no more than it should",
  {
    timeout: DURATION_MS + 60_000,
  },
  async () => {
    await using trial = await startFuzzed();
    const statuses = await fuzz(TrialService, trial.client, { durationMs: DURATION_MS });
    expect(Object.keys(statuses)).toEqual(
      expect.arrayContaining(["Ok", "InvalidArgument", "Internal"]),
    );
    await expect.poll(() => trial.server.callsInFlight, { timeout: 10_000 }).toBe(0);
  },
);

test(
  "broken frames end at most their own connection",
  { timeout: DURATION_MS + 60_000 },
  async () => {
    await using trial = await startFuzzed();
    const seed = Date.now();
    const random = randomNumbers(seed);
    const until = Date.now() + DURATION_MS;
    for (let round = 0; Date.now() < until; round++) {
      using peer = await RawPeer.connect(trial.server.address);
      for (let stream = 1; stream < 20; stream += 2) {
        const body = Buffer.from([0, 0, 0, 0, 4, 10, 2, 0x68, 0x69]);
        const frames = [
          frame(Type.HEADERS, Flag.END_HEADERS, stream, callHeaders("Ask")),
          frame(Type.DATA, Flag.END_STREAM, stream, body),
        ];
        for (const good of frames)
          peer.send(random() < 0.3 ? Buffer.from(mutated(good, random)) : good);
      }
      peer.socket.end();
      if (round % 20 === 0)
        expect((await trial.client.ask({ text: "next" })).text, `seed ${seed}`).toBe("next");
    }
    expect((await trial.client.ask({ text: "last" })).text, `seed ${seed}`).toBe("last");
    await expect.poll(() => trial.server.callsInFlight, { timeout: 10_000 }).toBe(0);
  },
);
