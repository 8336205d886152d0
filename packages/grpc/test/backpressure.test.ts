import { expect, test } from "vitest";
import { startTrial } from "./trial-server.js";

test("a source that never waits does not keep others from their turn", async () => {
  await using trial = await startTrial({
    async write(notes) {
      for await (const { number } of notes) return { number };
      return {};
    },
  });
  let written = 0n;
  async function* notes() {
    for (;;) yield { number: written++ };
  }
  expect((await trial.client.write(notes())).number).toBe(0n);
  expect(written).toBeLessThan(20_000n);
});

test("two questions at once of a handler's reader give two messages", async () => {
  const seen: bigint[] = [];
  await using trial = await startTrial({
    async write(notes) {
      const reader = notes[Symbol.asyncIterator]();
      const results = await Promise.all(Array.from({ length: 4 }, () => reader.next()));
      for (const { done, value } of results) if (!done) seen.push(value.number);
      return {};
    },
  });
  async function* notes() {
    yield { number: 1n };
    yield { number: 2n };
    yield { number: 3n };
  }
  await trial.client.write(notes());
  expect(seen).toEqual([1n, 2n, 3n]);
});
