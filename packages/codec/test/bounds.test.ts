import { create, fromBinary, toBinary, type DescField, type DescMessage } from "@bufbuild/protobuf";
import {
  FieldMaskSchema,
  ListValueSchema,
  StructSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { CreateOrderRequestSchema } from "@emporium/contracts/orders/v1";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BoundExceededError, boundedDecoder, type Bounds } from "../src/index.js";
import { boundedReaders } from "../src/compile.js";
import { findExcess } from "../src/excess.js";
import { input } from "../src/wire.js";
import { drawBytes, spoil } from "./random-bytes.js";
import { drawMessageOf } from "./random-message.js";
import { drawSchema } from "./random-schema.js";
import { expectSame, outcome } from "./same.js";

const wide: Bounds = { of: () => ({}), elements: 1_000_000 };

function bounded(of: Bounds["of"], elements = 1_000_000) {
  return boundedDecoder({ of, elements });
}

function excessOf(decode: () => unknown): unknown {
  try {
    decode();
  } catch (error) {
    if (error instanceof BoundExceededError) return error.excess;
    throw error;
  }
  return undefined;
}

const itemsOf =
  (name: string, items: number): Bounds["of"] =>
  (field: DescField) =>
    field.name === name ? { items } : {};

test("a list of as many items as its bound is read, and one item more is refused by its path", () => {
  const decode = bounded(itemsOf("lines", 3));
  const lines = (count: number) =>
    toBinary(
      CreateOrderRequestSchema,
      create(CreateOrderRequestSchema, { lines: Array.from({ length: count }, () => ({})) }),
    );
  expect(decode(CreateOrderRequestSchema, lines(3)).lines).toHaveLength(3);
  expect(excessOf(() => decode(CreateOrderRequestSchema, lines(4)))).toMatchObject({
    path: "lines",
    bound: "items",
    limit: 3,
  });
});

test("the path of a nested field says which item it stands in", () => {
  const decode = bounded((field) => (field.name === "string_value" ? { bytes: 5 } : {}));
  const value = (text: string) =>
    create(ValueSchema, { kind: { case: "stringValue", value: text } });
  const list = create(ListValueSchema, { values: [value("12345"), value("123456")] });
  const bytes = toBinary(ListValueSchema, list);
  expect(excessOf(() => decode(ListValueSchema, bytes))).toMatchObject({
    path: "values[1].string_value",
    bound: "bytes",
  });
});

test("items of a list of texts are bounded one by one", () => {
  const decode = bounded((field) => (field.name === "paths" ? { items: 2, bytes: 4 } : {}));
  const bytes = (...paths: string[]) =>
    toBinary(FieldMaskSchema, create(FieldMaskSchema, { paths }));
  expect(decode(FieldMaskSchema, bytes("abcd", "b")).paths).toEqual(["abcd", "b"]);
  expect(excessOf(() => decode(FieldMaskSchema, bytes("a", "abcde")))).toMatchObject({
    path: "paths[1]",
  });
  expect(excessOf(() => decode(FieldMaskSchema, bytes("a", "b", "c")))).toMatchObject({
    path: "paths",
  });
});

test("two million empty submessages are refused before they are made", () => {
  const bomb = Buffer.alloc(2 * 2_097_120);
  bomb.fill(Buffer.from([0x1a, 0x00]));
  const decode = bounded(itemsOf("lines", 1_000));
  const field = CreateOrderRequestSchema.fields.find(({ name }) => name === "lines")!;
  for (let at = 0; at < bomb.length; at += 2) bomb[at] = field.number * 8 + 2;
  const before = process.memoryUsage().heapUsed;
  for (let times = 0; times < 20; times++)
    expect(excessOf(() => decode(CreateOrderRequestSchema, bomb))).toMatchObject({ path: "lines" });
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000);
});

test.each([
  ["unknown fields", Buffer.alloc(4_000_000, Buffer.from([0xfa, 0x7f, 0x00]))],
  [
    "a field in a wire type that it does not have, before a bomb",
    Buffer.concat([Buffer.from([0x18, 0x01]), Buffer.alloc(4_000_000, Buffer.from([0x1a, 0x00]))]),
  ],
  ["a bomb that is cut off", Buffer.alloc(4_000_001, Buffer.from([0x1a, 0x00]))],
])("%s are bounded by the number of elements of a message", (_, bytes) => {
  const decode = bounded(() => ({}), 10_000);
  const before = process.memoryUsage().heapUsed;
  for (let times = 0; times < 10; times++)
    expect(excessOf(() => decode(CreateOrderRequestSchema, bytes))).toMatchObject({
      path: "",
      limit: 10_000,
    });
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000);
});

test("entries of a map and values kept as JSON are counted, and doubles of a key count again", () => {
  const decode = bounded(itemsOf("fields", 2));
  const struct = (keys: string[]) => {
    const entry = (key: string) =>
      toBinary(
        StructSchema,
        create(StructSchema, { fields: { [key]: { kind: { case: "boolValue", value: true } } } }),
      );
    return Buffer.concat(keys.map(entry));
  };
  expect(Object.keys(decode(StructSchema, struct(["a", "b"])).fields)).toEqual(["a", "b"]);
  expect(excessOf(() => decode(StructSchema, struct(["a", "b", "c"])))).toMatchObject({
    path: "fields",
  });
  expect(excessOf(() => decode(StructSchema, struct(["a", "a", "a"])))).toMatchObject({
    path: "fields",
  });
});

test("within its bounds every message is read as by protobuf-es", () => {
  const decode = boundedDecoder(wide);
  const property = fc.property(fc.gen(), (draw) => {
    const desc = drawSchema(draw);
    const message = toBinary(desc, drawMessageOf(draw, desc, { wild: false }));
    for (const bytes of [message, spoil(draw, message), drawBytes(draw, desc)])
      expectSame(
        outcome(() => decode(desc, bytes)),
        outcome(() => fromBinary(desc, bytes)),
      );
  });
  fc.assert(property, { numRuns: 100, endOnFailure: true });
});

test("the compiled reader refuses exactly the messages in which an excess is found", () => {
  const property = fc.property(fc.gen(), (draw) => {
    const desc = drawSchema(draw);
    const elements = draw(fc.nat, { max: 6 });
    const items = draw(fc.nat, { max: 3 });
    const bounds: Bounds = { of: () => ({ items, bytes: 8 }), elements };
    const bytes = Buffer.from(toBinary(desc, drawMessageOf(draw, desc, { wild: false })));
    expect(refuses(desc, bytes, bounds)).toBe(findExcess(desc, bytes, bounds) !== undefined);
  });
  fc.assert(property, { numRuns: 300, endOnFailure: true });
});

function refuses(desc: DescMessage, bytes: Buffer, bounds: Bounds): boolean {
  const { Blank, read } = boundedReaders(bounds)(desc);
  input.bytes = bytes;
  input.elementsLeft = bounds.elements;
  try {
    read(new Blank(), bytes, 0, bytes.length, 1, 0);
    return false;
  } catch {
    return true;
  }
}
