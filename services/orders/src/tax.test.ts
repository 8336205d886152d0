import { expect, test } from "vitest";
import { taxIn } from "./tax.js";

test.each([
  [120n, 2000, 20n],
  [255n, 2000, 43n], // 42.5
  [254n, 2000, 42n], // 42.33…
  [1n, 2000, 0n], // 0.166…
  [3n, 2000, 1n], // 0.5
  [105n, 500, 5n],
  [100n, 10_000, 50n],
  [999n, 0, 0n],
])("%i pence hold at %i basis points a tax of %i", (total, rate, tax) => {
  expect(taxIn(total, rate)).toBe(tax);
});
