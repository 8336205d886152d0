import { expect, test } from "vitest";
import { untilKnown, within } from "./patience.js";

const { signal } = new AbortController();

test("work is asked for again until it answers", async () => {
  const told: unknown[] = [];
  let attempts = 0;
  const work = async () => {
    if (++attempts < 3) throw new Error(`attempt ${attempts}`);
    return "done";
  };
  expect(await untilKnown({ signal, tell: (error) => told.push(error) }, work)).toBe("done");
  expect(told).toHaveLength(2);
});

test("an error that is an answer ends the asking", async () => {
  let attempts = 0;
  const work = async () => {
    attempts += 1;
    throw new RangeError("no");
  };
  const isAnswer = (error: unknown) => error instanceof RangeError;
  await expect(untilKnown({ signal, isAnswer }, work)).rejects.toThrow("no");
  expect(attempts).toBe(1);
});

test("a signal ends the asking, also in a pause and before the first attempt", async () => {
  const control = new AbortController();
  const asking = untilKnown({ signal: control.signal }, async () => {
    setTimeout(() => control.abort(new Error("enough")), 1);
    throw new Error("no answer");
  });
  await expect(asking).rejects.toThrow("enough");
  const late = untilKnown({ signal: control.signal }, async () => "never");
  await expect(late).rejects.toThrow("enough");
});

test("work gets its time and no more, whether it heeds its signal or not", async () => {
  const deaf = () => new Promise<never>(() => {});
  await expect(within(5, signal, deaf)).rejects.toMatchObject({ name: "TimeoutError" });
  const heard = within(1_000, AbortSignal.abort(new Error("gone")), deaf);
  await expect(heard).rejects.toThrow("gone");
  expect(await within(1_000, signal, async () => "done")).toBe("done");
});
