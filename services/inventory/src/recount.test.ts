import { create } from "@bufbuild/protobuf";
import { CountOutcome, StockLevelSchema } from "@emporium/contracts/inventory/v1";
import { expect, test } from "vitest";
import { Recount } from "./recount.js";

const level = (onHand: bigint, reserved = 0n) =>
  create(StockLevelSchema, { sku: "A", onHand, reserved, available: onHand - reserved });

function outcomesOf(counts: [counted: bigint, books: bigint][], reserved = 0n) {
  const recount = new Recount();
  return counts.map(([counted, books]) => {
    const outcome = recount.judge({ sku: "A", counted }, level(books, reserved));
    recount.note({ sku: "A", counted }, outcome);
    return CountOutcome[outcome];
  });
}

test("a count that agrees with the books matches", () => {
  expect(outcomesOf([[8n, 8n]])).toEqual(["MATCHED"]);
});

test("a count that differs is asked for again, and the same count again corrects the books", () => {
  expect(
    outcomesOf([
      [7n, 8n],
      [7n, 8n],
      [7n, 7n],
    ]),
  ).toEqual(["RECOUNT", "CORRECTED", "MATCHED"]);
});

test("two counts that differ from each other are asked for again", () => {
  expect(
    outcomesOf([
      [7n, 8n],
      [6n, 8n],
      [6n, 8n],
    ]),
  ).toEqual(["RECOUNT", "RECOUNT", "CORRECTED"]);
});

test("a count that agrees makes the session forget one that did not", () => {
  expect(
    outcomesOf([
      [7n, 8n],
      [8n, 8n],
      [7n, 8n],
    ]),
  ).toEqual(["RECOUNT", "MATCHED", "RECOUNT"]);
});

test("a confirmed count below what is promised leaves the books and begins again", () => {
  expect(
    outcomesOf(
      [
        [3n, 8n],
        [3n, 8n],
        [3n, 8n],
      ],
      4n,
    ),
  ).toEqual(["RECOUNT", "BELOW_RESERVED", "RECOUNT"]);
});

test("products are counted independently of each other", () => {
  const recount = new Recount();
  recount.note({ sku: "A", counted: 7n }, CountOutcome.RECOUNT);
  expect(recount.judge({ sku: "B", counted: 7n }, level(8n))).toBe(CountOutcome.RECOUNT);
});

test("judging changes nothing, so that a transaction can be started over", () => {
  const recount = new Recount();
  for (let times = 0; times < 2; times++)
    expect(recount.judge({ sku: "A", counted: 7n }, level(8n))).toBe(CountOutcome.RECOUNT);
});
