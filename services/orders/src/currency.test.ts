import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import { findDetail, reasonOf } from "@emporium/grpc";
import { expect, test } from "vitest";
import { oneCurrency } from "./currency.js";
import { toMoney } from "./money.js";

const inPounds = { unitPrice: toMoney(100n, "GBP") };
const inEuros = { unitPrice: toMoney(100n, "EUR") };
const withoutCode = { unitPrice: toMoney(100n, "") };
const withoutPrice = { unitPrice: undefined };

test("the currency of the prices counts, not the shop's", () => {
  expect(oneCurrency([inEuros, inEuros], "GBP")).toBe("EUR");
});

test("lines without a price have no say", () => {
  expect(oneCurrency([withoutPrice, inEuros], "GBP")).toBe("EUR");
  expect(oneCurrency([withoutPrice], "GBP")).toBe("GBP");
});

test("a price without a code is in the shop's currency", () => {
  expect(oneCurrency([inPounds, withoutCode], "GBP")).toBe("GBP");
  expect(() => oneCurrency([inEuros, withoutCode], "GBP")).toThrow("several currencies");
});

test("a code that is none of ISO 4217's form is an invalid request", () => {
  const error = failureOf([{ unitPrice: toMoney(100n, "gbp") }, inEuros]);
  expect(reasonOf(error)?.reason).toBe("INVALID_REQUEST");
  expect(fieldsOf(error)).toEqual(["lines[0].unit_price.currency_code"]);
});

test("the failure names every line that differs from the first price", () => {
  const error = failureOf([inPounds, inEuros, inPounds, inEuros]);
  expect(reasonOf(error)?.reason).toBe("MIXED_CURRENCIES");
  expect(fieldsOf(error)).toEqual([
    "lines[1].unit_price.currency_code",
    "lines[3].unit_price.currency_code",
  ]);
});

function failureOf(lines: Parameters<typeof oneCurrency>[0]): unknown {
  try {
    return oneCurrency(lines, "GBP");
  } catch (error) {
    return error;
  }
}

function fieldsOf(error: unknown) {
  return findDetail(error, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
}
