import { create } from "@bufbuild/protobuf";
import { MoneySchema } from "@emporium/contracts/google/type";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { toMinorUnits, toMoney } from "./money.js";

test("12 pounds and 34 pence are 1234 pence", () => {
  const price = create(MoneySchema, { currencyCode: "GBP", units: 12n, nanos: 340_000_000 });
  expect(toMinorUnits(price)).toBe(1234n);
  expect(toMoney(1234n, "GBP")).toEqual(price);
});

test("every amount that an order can reach comes back as it was", () => {
  const dearest = 1_000n * 1_000_000n * 100_000_000n;
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: dearest }), (amount) => {
      expect(toMinorUnits(toMoney(amount, "GBP"))).toBe(amount);
    }),
  );
});
