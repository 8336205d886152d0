import * as fc from "fast-check";
import { expect, test } from "vitest";
import { matchReturn, type SoldLine, type WantedLine } from "./return-matching.js";

const sold = (lineNo: number, sku: string, quantity: bigint, unitPrice: bigint): SoldLine => ({
  lineNo,
  sku,
  quantity,
  unitPrice,
  returnedQuantity: 0n,
});

const wanted = (sku: string, quantity: bigint, minorUnits?: bigint): WantedLine => ({
  sku,
  quantity,
  unitPrice: minorUnits === undefined ? undefined : { minorUnits, currency: "GBP" },
});

const order = (...lines: SoldLine[]) => ({ currency: "GBP", lines });

test("a line without a price comes back at the one price of its product", () => {
  const match = matchReturn(order(sold(1, "A", 2n, 255n)), [wanted("A", 1n)]);
  expect(match).toMatchObject({ outcome: "fits", prices: [255n], refund: 255n, complete: false });
});

test("lines of one product at one price come back in the order's line order", () => {
  const lines = order(sold(1, "A", 2n, 100n), sold(2, "A", 2n, 90n), sold(3, "A", 5n, 100n));
  const match = matchReturn(lines, [wanted("A", 3n, 100n)]);
  expect(match).toMatchObject({ outcome: "fits", refund: 300n });
  expect(match.outcome === "fits" && match.back).toEqual([
    { ...lines.lines[0], returnedQuantity: 2n },
    { ...lines.lines[2], returnedQuantity: 1n },
  ]);
});

test("the last unit completes the return", () => {
  const partly = { ...sold(1, "A", 3n, 100n), returnedQuantity: 2n };
  expect(matchReturn(order(partly), [wanted("A", 1n)])).toMatchObject({ complete: true });
});

test("unknown products, other prices, several prices and other currencies are not on the order", () => {
  const lines = order(sold(1, "A", 1n, 100n), sold(2, "A", 1n, 90n), sold(3, "B", 1n, 10n));
  const inEuros = { ...wanted("B", 1n), unitPrice: { minorUnits: 10n, currency: "EUR" } };
  const match = matchReturn(lines, [
    wanted("C", 1n),
    wanted("A", 1n),
    wanted("B", 9n),
    wanted("A", 1n, 95n),
    inEuros,
  ]);
  expect(match).toMatchObject({
    outcome: "not-on-order",
    mismatches: [
      { index: 0, field: "sku" },
      { index: 1, field: "unit_price" },
      { index: 3, field: "unit_price" },
      { index: 4, field: "unit_price" },
    ],
  });
});

test("what exceeds the order is told once for each product", () => {
  const lines = order(sold(1, "A", 1n, 100n), sold(2, "A", 1n, 90n), sold(3, "B", 1n, 10n));
  const match = matchReturn(lines, [
    wanted("A", 2n, 100n),
    wanted("A", 1n, 90n),
    wanted("A", 1n, 90n),
    wanted("B", 1n),
  ]);
  expect(match).toMatchObject({ outcome: "exceeds", excesses: [{ sku: "A" }] });
});

const anyOrder = fc
  .array(
    fc.record({
      sku: fc.constantFrom("A", "B", "C"),
      quantity: fc.bigInt(1n, 5n),
      unitPrice: fc.bigInt(1n, 3n),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((lines) => lines.map((line, at) => sold(at + 1, line.sku, line.quantity, line.unitPrice)));

const anyReturn = fc.array(
  fc.record({
    sku: fc.constantFrom("A", "B", "C", "D"),
    quantity: fc.bigInt(1n, 4n),
    price: fc.option(fc.bigInt(1n, 3n), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 4 },
);

const sum = (numbers: bigint[]) => numbers.reduce((total, number) => total + number, 0n);
const open = (lines: SoldLine[]) => lines.map((line) => line.quantity - line.returnedQuantity);

test("whatever comes back: never more than was sold, and the refunds are what it cost", () => {
  fc.assert(
    fc.property(anyOrder, fc.array(anyReturn, { maxLength: 8 }), (bought, returns) => {
      let lines = bought;
      let refunded = 0n;
      for (const asked of returns) {
        const request = asked.map(({ sku, quantity, price }) => wanted(sku, quantity, price));
        const match = matchReturn(order(...lines), request);
        if (match.outcome !== "fits") continue;
        const back = new Map(match.back.map((line) => [line.lineNo, line]));
        const after = lines.map((line) => back.get(line.lineNo) ?? line);

        const units = sum(asked.map(({ quantity }) => quantity));
        expect(sum(open(lines)) - sum(open(after))).toBe(units);
        expect(match.complete).toBe(sum(open(after)) === 0n);
        lines = after;
        refunded += match.refund;
      }
      for (const left of open(lines)) expect(left).toBeGreaterThanOrEqual(0n);
      expect(refunded).toBe(sum(lines.map((line) => line.returnedQuantity * line.unitPrice)));
    }),
    { numRuns: 500 },
  );
});

test("whatever was sold can come back unit by unit, and nothing after that", () => {
  fc.assert(
    fc.property(anyOrder, (bought) => {
      let lines = bought;
      const units = bought.flatMap((line) =>
        Array.from({ length: Number(line.quantity) }, () => wanted(line.sku, 1n, line.unitPrice)),
      );
      units.forEach((unit, at) => {
        const match = matchReturn(order(...lines), [unit]);
        if (match.outcome !== "fits") throw new Error(match.outcome);
        const back = new Map(match.back.map((line) => [line.lineNo, line]));
        lines = lines.map((line) => back.get(line.lineNo) ?? line);
        expect(match.complete).toBe(at === units.length - 1);
      });
      for (const unit of units)
        expect(matchReturn(order(...lines), [unit]).outcome).toBe("exceeds");
    }),
  );
});
