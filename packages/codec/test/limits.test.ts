import {
  create,
  createFileRegistry,
  fromBinary,
  toBinary,
  type DescMessage,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  ApiSchema,
  BytesValueSchema,
  FieldDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorSetSchema,
  ListValueSchema,
  StringValueSchema,
  StructSchema,
  TimestampSchema,
  ValueSchema,
  type ListValue,
} from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { decode, encode } from "../src/index.js";
import { isCompilable } from "../src/parts.js";
import { expectSame, outcome } from "./same.js";

/** Lists in lists, of which each is two messages deep. */
function nested(lists: number): ListValue {
  const list = create(ListValueSchema);
  if (lists > 1) list.values = [create(ValueSchema, inside(nested(lists - 1)))];
  return list;
}

function inside(value: ListValue) {
  return { kind: { case: "listValue" as const, value } };
}

test("100 messages in one another are read, 101 refused in the words of protobuf-es", () => {
  const deepest = toBinary(ValueSchema, create(ValueSchema, inside(nested(50))));
  expectSame(decode(ValueSchema, deepest), fromBinary(ValueSchema, deepest));
  const deeper = toBinary(ListValueSchema, nested(51));
  expect(() => decode(ListValueSchema, deeper)).toThrow("maximum recursion depth of 100 reached");
});

test("unknown groups count for the depth as in protobuf-es", () => {
  for (const depth of [98, 99, 100, 101]) {
    const groups = new Uint8Array(2 * depth).fill(11, 0, depth).fill(12, depth);
    expectSame(
      outcome(() => decode(BytesValueSchema, groups)),
      outcome(() => fromBinary(BytesValueSchema, groups)),
    );
  }
});

test("a map key may be __proto__", () => {
  const fields = JSON.parse(`{ "__proto__": { "$typeName": "google.protobuf.Value" } }`);
  const value = create(ValueSchema, { kind: { case: "boolValue", value: true } });
  Object.defineProperty(fields, "__proto__", { value, enumerable: true });
  const struct = create(StructSchema);
  struct.fields = fields;
  const bytes = encode(StructSchema, struct);
  expectSame(new Uint8Array(bytes), toBinary(StructSchema, struct));
  expectSame(decode(StructSchema, bytes), fromBinary(StructSchema, bytes));
});

test("messages larger than the buffer are written whole", () => {
  function expectWhole<Desc extends DescMessage>(type: Desc, message: MessageShape<Desc>): void {
    expect(encode(type, message).compare(toBinary(type, message))).toBe(0);
  }
  for (const size of [60_000, 65_533, 65_536, 1 << 20, 5 << 20]) {
    expectWhole(BytesValueSchema, create(BytesValueSchema, { value: Buffer.alloc(size, "x") }));
    expectWhole(StringValueSchema, create(StringValueSchema, { value: "é".repeat(size / 4) }));
    const kind = { case: "numberValue" as const, value: 0.5 };
    const values = Array.from({ length: size >> 4 }, () => create(ValueSchema, { kind }));
    expectWhole(ListValueSchema, create(ListValueSchema, { values }));
  }
});

test("what was written stays as it is while more is written", () => {
  const first = encode(StringValueSchema, create(StringValueSchema, { value: "first" }));
  encode(StringValueSchema, create(StringValueSchema, { value: "other" }));
  expect(decode(StringValueSchema, first).value).toBe("first");
});

test("a message may write another one while it is written", () => {
  const message = create(TimestampSchema, { nanos: 5 });
  const other = create(TimestampSchema, { seconds: 9n, nanos: 9 });
  const seconds = () => BigInt(encode(TimestampSchema, other).length);
  Object.defineProperty(message, "seconds", { get: seconds, enumerable: true });
  expectSame(new Uint8Array(encode(TimestampSchema, message)), new Uint8Array([8, 4, 16, 5]));
});

test("bytes are views of what was given, of its own kind", () => {
  const written = toBinary(
    BytesValueSchema,
    create(BytesValueSchema, { value: new Uint8Array(9) }),
  );
  for (const given of [written, Buffer.from(written)]) {
    const { value } = decode(BytesValueSchema, given);
    expect(value.buffer).toBe(given.buffer);
    expectSame(value, fromBinary(BytesValueSchema, given).value);
  }
});

test("messages of another type, and what is no message, are refused in the words of protobuf-es", () => {
  for (const wrong of [create(BytesValueSchema), { seconds: 1n }, {}, null, undefined, "text"]) {
    const message = wrong as never;
    expectSame(
      outcome(() => encode(TimestampSchema, message)),
      outcome(() => toBinary(TimestampSchema, message)),
    );
    expectSame(
      outcome(() => decode(TimestampSchema, message)),
      outcome(() => fromBinary(TimestampSchema, message)),
    );
  }
});

test("fields that a message has from its prototype count only where protobuf-es counts them", () => {
  const kind = { case: "nullValue" as const, value: 0 as const };
  const field = create(FieldDescriptorProtoSchema, { name: "inherited", number: 4 });
  const api = create(ApiSchema, { name: "api", sourceContext: { fileName: "inherited" } });
  for (const [type, message] of [
    [FieldDescriptorProtoSchema, field],
    [ApiSchema, api],
    [ValueSchema, create(ValueSchema, { kind })],
  ] as [DescMessage, Message][]) {
    for (const odd of [Object.create(message), Object.assign(Object.create(null), message)]) {
      expectSame(new Uint8Array(encode(type, odd)), toBinary(type, odd));
    }
  }
});

/** A type with one field of this name. */
function typeWith(name: string): DescMessage {
  const field = [{ name, number: 1, label: Label.OPTIONAL, type: Type.STRING }];
  const messageType = [{ name: "Odd", field }];
  const file = [{ name: "odd.proto", syntax: "proto3", messageType }];
  return createFileRegistry(create(FileDescriptorSetSchema, { file })).getMessage("Odd")!;
}

test("fields may be called what every object has", () => {
  for (const name of ["has_own_property", "constructor", "is_prototype_of", "__proto__"]) {
    const type = typeWith(name);
    const message = create(type, { [type.fields[0]!.localName]: "value" });
    const bytes = encode(type, message);
    expectSame(new Uint8Array(bytes), toBinary(type, message));
    expectSame(decode(type, bytes), fromBinary(type, bytes));
    expectSame(new Uint8Array(encode(type, create(type))), toBinary(type, create(type)));
  }
});

test("no name becomes code", () => {
  const type = typeWith("name");
  for (const localName of ["x;throw 1", 'x"]', "x`", "\u2028", "", "1x", "a-b"]) {
    const field = { ...type.fields[0]!, localName };
    expect(isCompilable({ ...type, fields: [field], members: [field] })).toBe(false);
  }
  expect(isCompilable(type)).toBe(true);
});
