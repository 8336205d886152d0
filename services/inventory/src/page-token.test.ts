import { reasonOf } from "@emporium/grpc";
import { expect, test } from "vitest";
import { fromPageToken, toPageToken } from "./page-token.js";

test("a page token gives back the SKU that it was made from", () => {
  expect(fromPageToken(toPageToken("85123A"))).toBe("85123A");
});

test("no token stands for the first page", () => {
  expect(fromPageToken("")).toBe("");
});

test.each([
  ["text", "garbage"],
  ["JSON of another shape", encode({ page: 2 })],
  ["another version", encode({ version: 2, after: "85123A" })],
  ["more than a token has", encode({ version: 1, after: "85123A", filter: "x" })],
  ["an empty SKU", encode({ version: 1, after: "" })],
  ["a SKU with a NUL", encode({ version: 1, after: "A\0" })],
  ["a SKU with half a character", encode({ version: 1, after: "A\ud800" })],
])("%s is refused as a page token", (_, token) => {
  expect(() => fromPageToken(token)).toThrow(
    expect.toSatisfy((error) => reasonOf(error)?.reason === "INVALID_PAGE_TOKEN"),
  );
});

function encode(token: unknown) {
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}
