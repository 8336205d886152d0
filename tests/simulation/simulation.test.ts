import { expect, test } from "vitest";
import { allGuards } from "./guards.ts";
import { simulate } from "./simulate.ts";

/** All of the proof's; fewer where a machine has no time. */
const SCHEDULES = Number(process.env.SCHEDULES ?? 10_000);
const LIMIT_MS = 600_000;

test(`${SCHEDULES} schedules of faults end as they must`, { timeout: LIMIT_MS }, async () => {
  const wrong: string[] = [];
  for (let seed = 1; seed <= SCHEDULES && wrong.length === 0; seed++)
    wrong.push(...(await simulate(seed)).wrong.map((what) => `seed ${seed}: ${what}`));
  expect(wrong).toEqual([]);
});

test("the same seed is the same trace, event by event", async () => {
  const [first, again, other] = [await simulate(42), await simulate(42), await simulate(43)];
  expect(first.trace.length).toBeGreaterThan(20);
  expect(again.trace).toEqual(first.trace);
  expect(other.trace).not.toEqual(first.trace);
});

test.each(["idempotencyKey", "fence", "enoughAvailable"] as const)(
  "without the guard %s something goes wrong within 1,000 seeds",
  { timeout: LIMIT_MS },
  async (guard) => {
    const guards = { ...allGuards, [guard]: false };
    let found: string[] = [];
    for (let seed = 1; seed <= 1_000 && found.length === 0; seed++)
      found = (await simulate(seed, guards)).wrong;
    expect(found).not.toEqual([]);
  },
);
