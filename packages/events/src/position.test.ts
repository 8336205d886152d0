import { expect, test } from "vitest";
import { formatPosition, parsePosition } from "./position.js";

test("a position comes back from its text", () => {
  const position = { incarnation: "2026-11-23T21:56:56.340317602Z#2", sequence: 1042 };
  expect(formatPosition(position)).toBe("2026-11-23T21:56:56.340317602Z#2@1042");
  expect(parsePosition(formatPosition(position))).toEqual(position);
});

test.each(["", "7", "2026-11-23T21:56:56Z@7", "2026-11-23T21:56:56Z#0@-1", "x#0@1"])(
  "%j is no position",
  (text) => {
    expect(parsePosition(text)).toBeUndefined();
  },
);
