import { expect, test } from "vitest";
import { findKnee } from "./knee.js";

test.each([10, 11, 37, 100, 640, 641])(
  "a shop that takes %i a second is found out",
  async (most) => {
    const { knee, steps } = await findKnee(10, async (rate) => rate <= most);
    expect(knee).toBeLessThanOrEqual(most);
    expect(knee).toBeGreaterThan(most * 0.9 - 1);
    expect(steps.every(({ rate, passed }) => passed === rate <= most)).toBe(true);
  },
);

test("a shop that takes nothing has no knee, and is asked once", async () => {
  expect(await findKnee(10, async () => false)).toEqual({
    knee: 0,
    steps: [{ rate: 10, passed: false }],
  });
});

test("a shop that takes anything is not asked for ever", async () => {
  const { steps } = await findKnee(1, async () => true, 5);
  expect(steps.map(({ rate }) => rate)).toEqual([1, 2, 4, 8, 16]);
});
