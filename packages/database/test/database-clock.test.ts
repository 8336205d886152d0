import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { DatabaseClock, isAway } from "../src/index.js";
import { open, TestPostgres } from "./postgres.js";

const DAY_MS = 24 * 60 * 60_000;

/** The difference that the clock knows, in milliseconds. */
function differenceOf(clock: DatabaseClock): number {
  return clock.now().getTime() - performance.now();
}

describe("what a clock learns from Postgres' answers", () => {
  test("no time is better than a wrong one: it is unknown until Postgres has answered", () => {
    expect(() => new DatabaseClock().now()).toThrow(expect.toSatisfy(isAway));
  });

  test("the time lies between sending and answer", () => {
    const clock = new DatabaseClock();
    clock.learn(5_000, 1_000, 1_010);
    expect(Math.abs(differenceOf(clock) - 3_995)).toBeLessThan(1.5);
  });

  test("a slow answer, as of a Postgres that stalls, makes the time no worse", () => {
    const clock = new DatabaseClock();
    clock.learn(5_000, 1_000, 1_002);
    clock.learn(12_000, 2_000, 9_000);
    expect(Math.abs(differenceOf(clock) - 3_999)).toBeLessThan(1.5);
  });

  test("a quick answer makes the time of a slow one better", () => {
    const clock = new DatabaseClock();
    clock.learn(12_000, 2_000, 9_000);
    clock.learn(15_000, 11_000, 11_002);
    expect(Math.abs(differenceOf(clock) - 3_999)).toBeLessThan(1.5);
  });

  test.for([7_200_000, -7_200_000])("a step of %i ms is followed at the next answer", (stepMs) => {
    const clock = new DatabaseClock();
    clock.learn(10_000_000, 1_000, 1_002);
    clock.learn(10_001_000 + stepMs, 2_000, 2_002);
    expect(Math.abs(differenceOf(clock) - (9_998_999 + stepMs))).toBeLessThan(1.5);
  });
});

describe("the clock of a database", () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await TestPostgres.start();
    await postgres.createShop("clock");
  });
  afterAll(() => postgres[Symbol.asyncDispose]());
  afterEach(() => void vi.useRealTimers());

  const learnt: [string, (database: Awaited<ReturnType<typeof open>>) => Promise<unknown>][] = [
    ["a health check", (database) => database.ping()],
    ["the first statement", (database) => database.query(undefined, "SELECT 1")],
    ["the first query by Prisma", (database) => database.prisma.account.count()],
  ];
  test.for(learnt)("is known after %s, whatever this process' clock says", async ([, ask]) => {
    const trueMs = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: trueMs + DAY_MS });
    await using database = await open(postgres.url("clock"));
    await ask(database);
    expect(Math.abs(database.clock.now().getTime() - trueMs)).toBeLessThan(60_000);
  });
});
