import { expect, test } from "vitest";
import { fromStoredLines, lineMessages, totalOf, toStoredLines, unitsPerSku } from "./lines.js";

const lines = [
  { sku: "TEA", title: "Tea", quantity: 2n, unitPrice: 255n },
  { sku: "CUP", title: "Cup", quantity: 1_000_000n, unitPrice: 100_000_000n },
  { sku: "TEA", title: "Tea", quantity: 3n, unitPrice: 199n },
];

test("lines come back from their column as they were, to the penny", () => {
  expect(fromStoredLines(JSON.parse(JSON.stringify(toStoredLines(lines))))).toEqual(lines);
  expect(totalOf(lines)).toBe(100_000_000_001_107n);
});

test("units of a product are added up over its lines", () => {
  expect(unitsPerSku(lines)).toEqual([
    { sku: "TEA", quantity: 5n },
    { sku: "CUP", quantity: 1_000_000n },
  ]);
});

test("pence become money", () => {
  expect(lineMessages(lines, "GBP")[0]?.unitPrice).toMatchObject({
    currencyCode: "GBP",
    units: 2n,
    nanos: 550_000_000,
  });
});
