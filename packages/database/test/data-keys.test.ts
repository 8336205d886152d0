import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataKeys, sealedWith, withNewKey } from "../src/index.js";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "data-keys-"));
  path = join(directory, "keys.json");
  writeFileSync(path, JSON.stringify(withNewKey("2026-11")));
});
afterEach(() => rmSync(directory, { recursive: true }));

const value = Buffer.from("Alice Example, 1 High Street");
const addKey = (id: string) =>
  writeFileSync(
    path,
    JSON.stringify(withNewKey(id, JSON.parse(readFileSync(path, "utf8")) as never)),
  );

test("what was sealed is opened in its place, and shows nothing before", () => {
  const keys = DataKeys.fromFile(path);
  const sealed = keys.seal(value, "orders/1");
  expect(sealed.includes("Alice")).toBe(false);
  expect(sealedWith(sealed)).toBe("2026-11");
  expect(keys.open(sealed, "orders/1")).toEqual(value);
});

test("the same value is never sealed to the same bytes", () => {
  const keys = DataKeys.fromFile(path);
  const sealed = Array.from({ length: 100 }, () => keys.seal(value, "x").toString("hex"));
  expect(new Set(sealed).size).toBe(100);
});

test("a sealed value that was moved to another row, or of which one bit is changed, is refused", () => {
  const keys = DataKeys.fromFile(path);
  const sealed = keys.seal(value, "orders/1");
  expect(() => keys.open(sealed, "orders/2")).toThrow("unable to authenticate");
  // Every byte after the id of the key: nonce, text, tag.
  for (let at = 2 + "2026-11".length; at < sealed.length; at++) {
    const spoilt = Buffer.from(sealed);
    spoilt[at]! ^= 1;
    expect(() => keys.open(spoilt, "orders/1")).toThrow("unable to authenticate");
  }
  expect(() => keys.open(sealed.subarray(0, -1), "orders/1")).toThrow("unable to authenticate");
});

test("what was stored before there were keys is given back as it is", () => {
  const message = Buffer.from([0x0a, 0x03, 0x41, 0x62, 0x63]);
  expect(DataKeys.fromFile(path).open(message, "orders/1")).toEqual(message);
});

test("a key that another process began to use is read from the file, and is the primary one then", () => {
  const old = DataKeys.fromFile(path);
  const sealedByOld = old.seal(value, "orders/1");
  addKey("2026-12");
  const young = DataKeys.fromFile(path);
  expect(young.primary).toBe("2026-12");
  expect(young.open(sealedByOld, "orders/1")).toEqual(value);
  expect(old.open(young.seal(value, "orders/2"), "orders/2")).toEqual(value);
  expect(old.primary).toBe("2026-12");
});

test("a key that went from the file opens nothing any more", () => {
  const sealed = DataKeys.fromFile(path).seal(value, "orders/1");
  writeFileSync(path, JSON.stringify(withNewKey("2026-12")));
  expect(() => DataKeys.fromFile(path).open(sealed, "orders/1")).toThrow(
    "The data key 2026-11 is not known",
  );
});

test.each([
  ["", /JSON/],
  ['{"primary":"a","keys":{"b":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}', /primary id a/],
  ['{"primary":"a","keys":{"a":"c2VjcmV0"}}', /The data key a is not of 32 bytes in base64/],
])("the file %s is refused without telling a key", (text, reason) => {
  writeFileSync(path, text);
  expect(() => DataKeys.fromFile(path)).toThrow(reason);
  expect(() => DataKeys.fromFile(path)).not.toThrow(/c2VjcmV0/);
});

test("an id is given to one key only", () => {
  expect(() => addKey("2026-11")).toThrow("There is a key 2026-11 already");
});

test("nothing is sealed with a key that is not the primary one any more", () => {
  const keys = DataKeys.fromFile(path);
  addKey("2026-12");
  expect(sealedWith(keys.seal(value, "orders/1"))).toBe("2026-12");
});

test("a file that cannot be read for a moment leaves the keys as they were", () => {
  const keys = DataKeys.fromFile(path);
  const whole = readFileSync(path, "utf8");
  writeFileSync(path, whole.slice(0, 30));
  const sealed = keys.seal(value, "orders/1");
  expect(keys.open(sealed, "orders/1")).toEqual(value);
  writeFileSync(path, whole);
  addKey("2026-12");
  expect(sealedWith(keys.seal(value, "orders/1"))).toBe("2026-12");
});
