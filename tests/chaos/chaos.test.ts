import { testInfrastructure } from "@emporium/local/test";
import { expect, test } from "vitest";
import { runChaos } from "./chaos.ts";
import { makePlan } from "./plan.ts";
import { dieEverywhere } from "./points.ts";
import { failures, pointFailures } from "./report.ts";

/** Long enough for a machine that does much else. */
const LIMIT_MS = 600_000;

test("the same seed is the same plan", () => {
  const labels = ["inventory-1", "orders-1", "checkout-1", "checkout-2"];
  expect(makePlan(7, 30, labels)).toEqual(makePlan(7, 30, labels));
  expect(makePlan(7, 30, labels)).not.toEqual(makePlan(8, 30, labels));
});

test(
  "processes die at each of their named places, and all ends well",
  { timeout: LIMIT_MS },
  async () => {
    const backing = await testInfrastructure();
    const report = await dieEverywhere({ rounds: 1, oneByOne: false, seed: 1, backing });
    expect(pointFailures(report)).toEqual([]);
    expect(report.books.differences).toEqual([]);
  },
);

test(
  "whatever dies under customers, nothing is lost, doubled or oversold",
  { timeout: LIMIT_MS },
  async () => {
    const report = await runChaos({ seconds: 20, seed: 1 });
    expect(report.books.differences).toEqual([]);
    expect(failures(report)).toEqual([]);
  },
);
