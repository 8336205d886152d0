import { expect, test } from "vitest";
import { Names } from "./names.js";

const names = new Names("shop");

test("a subject says source, version, message and aggregate", () => {
  expect(names.event("orders", "emporium.orders.v1.OrderPlaced", "ord_1")).toBe(
    "shop.orders.v1.OrderPlaced.ord_1",
  );
  expect(names.stream("orders")).toBe("SHOP_ORDERS");
});

test.each([
  ["a.b", "a%2Eb"],
  ["*", "%2A"],
  [">", "%3E"],
  ["a b", "a%20b"],
  ["", "%"],
])("an aggregate id %j is one token", (id, token) => {
  expect(names.event("orders", "a.v1.B", id)).toBe(`shop.orders.v1.B.${token}`);
  expect(names.events("orders", id)).toBe(`shop.orders.*.*.${token}`);
});

test.each(["", "a.b", "a b", ">", "x".repeat(65)])("%j is no prefix", (prefix) => {
  expect(() => new Names(prefix)).toThrow(TypeError);
});
