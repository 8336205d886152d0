import { expect, test } from "vitest";
import { newId, relatedId } from "./ids.js";

test("an id has the form that the contract asks for", () => {
  for (let n = 0; n < 1000; n++) expect(newId("chk")).toMatch(/^chk_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
});

test("ids sort by the time they were made", () => {
  const times = [0, 1, 1_000, 1_290_000_000_000, 1_790_000_000_000, 2 ** 47];
  const ids = times.map((time) => newId("ord", time));
  expect([...ids].sort()).toEqual(ids);
});

test("no two ids are the same", () => {
  expect(new Set(Array.from({ length: 10_000 }, () => newId("x"))).size).toBe(10_000);
});

test("a related id keeps all but the prefix", () => {
  const id = newId("chk");
  expect(relatedId("rsv", id)).toBe(id.replace("chk_", "rsv_"));
});
