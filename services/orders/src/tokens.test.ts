import * as fc from "fast-check";
import { expect, test } from "vitest";
import { openToken, sealToken } from "./tokens.js";

test("a token gives back what was put into it", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }), (parts) => {
      expect(openToken("WatchOrder.1", sealToken("WatchOrder.1", parts))).toEqual(parts);
    }),
  );
});

test("a token of another method is refused", () => {
  expect(openToken("WatchOrder.1", sealToken("ListOrders.1", ["a"]))).toBeUndefined();
});

test("no other text is a token", () => {
  const token = sealToken("WatchOrder.1", ["ord_1", "3"]);
  for (const text of ["", "x", "null", `${token}=`, `${token}A`, ` ${token}`, token.slice(1)])
    expect(openToken("WatchOrder.1", text)).toBeUndefined();
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      expect(openToken("WatchOrder.1", text)).toBeUndefined();
    }),
  );
});

test("the largest page token fits into the contract's 200 characters", () => {
  const token = sealToken("ListOrders.1", [
    "1".repeat(13),
    `ord_${"z".repeat(26)}`,
    "c".repeat(64),
  ]);
  expect(token.length).toBeLessThanOrEqual(200);
});
