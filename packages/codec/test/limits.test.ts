import {
  create,
  createFileRegistry,
  fromBinary,
  toBinary,
  type DescMessage,
  type JsonObject,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  ApiSchema,
  BytesValueSchema,
  DurationSchema,
  FieldDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorSetSchema,
  ListValueSchema,
  StringValueSchema,
  StructSchema,
  TimestampSchema,
  ValueSchema,
  file_google_protobuf_struct,
  isWrapperDesc,
  type ListValue,
  type StringValue,
} from "@bufbuild/protobuf/wkt";
import * as wellKnown from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { decode, encode } from "../src/index.js";
import { isCompilable } from "../src/parts.js";
import { WILD } from "./random-message.js";
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
    const groups = new Uint8Array(2 * depth).fill(19, 0, depth).fill(20, depth);
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
  const message = create(TimestampSchema, { seconds: 5n });
  const other = create(TimestampSchema, { seconds: 9n, nanos: 9 });
  const nanos = () => encode(TimestampSchema, other).length;
  Object.defineProperty(message, "nanos", { get: nanos, enumerable: true });
  expectSame(new Uint8Array(encode(TimestampSchema, message)), new Uint8Array([8, 5, 16, 4]));
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
  const duration = create(DurationSchema, { seconds: 1n });
  for (const wrong of [
    create(BytesValueSchema),
    duration,
    { seconds: 1n },
    {},
    null,
    undefined,
    "text",
  ]) {
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

const OUTER = ".outer.Outer";

/** A type `Outer` with these fields, numbered from 1, and a type `Inner` with a field `name`. */
function outerWith(...fields: MessageInitShape<typeof FieldDescriptorProtoSchema>[]): DescMessage {
  const label = Label.OPTIONAL;
  const field = fields.map((init, i) => ({ number: i + 1, label, ...init }));
  const inner = { name: "Inner", field: [{ name: "name", number: 1, label, type: Type.STRING }] };
  const struct = file_google_protobuf_struct.proto;
  const file = {
    name: "outer.proto",
    package: "outer",
    syntax: "proto3",
    dependency: [struct.name],
  };
  // proto3 keeps an optional field in a oneof of its own.
  const oneofDecl = fields.some((init) => init.proto3Optional) ? [{ name: "_optional" }] : [];
  const messageType = [{ name: "Outer", field, oneofDecl }, inner];
  const set = create(FileDescriptorSetSchema, { file: [struct, { ...file, messageType }] });
  return createFileRegistry(set).getMessage("outer.Outer")!;
}

test("fields may be called what every object has", () => {
  const optional = { proto3Optional: true, oneofIndex: 0 };
  for (const name of ["has_own_property", "constructor", "is_prototype_of", "__proto__"]) {
    for (const [kind, value] of [
      [{ type: Type.STRING }, "value"],
      [{ type: Type.BOOL, ...optional }, true],
      [{ type: Type.MESSAGE, typeName: OUTER }, undefined],
      [{ type: Type.BOOL, label: Label.REPEATED }, [true]],
    ] as const) {
      const type = outerWith({ name, ...kind });
      for (const message of [create(type), create(type, { [type.fields[0]!.localName]: value })]) {
        const bytes = encode(type, message);
        expectSame(new Uint8Array(bytes), toBinary(type, message));
        expectSame(decode(type, bytes), fromBinary(type, bytes));
      }
    }
  }
});

test("JSON inside of messages counts for the depth as in protobuf-es", () => {
  const type = outerWith(
    { name: "outer", type: Type.MESSAGE, typeName: OUTER },
    { name: "json", type: Type.MESSAGE, typeName: ".google.protobuf.Struct" },
  );
  for (const depth of [30, 31, 32, 33]) {
    let json: JsonObject = {};
    for (let i = 1; i < depth; i++) json = { json };
    let message = create(type, { json });
    for (let i = 1; i < 37; i++) message = create(type, { outer: message });
    const bytes = encode(type, message);
    expectSame(new Uint8Array(bytes), toBinary(type, message));
    expectSame(
      outcome(() => decode(type, bytes)),
      outcome(() => fromBinary(type, bytes)),
    );
  }
});

test("a type that is not compiled may stand in one that is", () => {
  const inner = { type: Type.MESSAGE, typeName: ".outer.Inner" };
  const type = outerWith(
    { name: "one", ...inner },
    { name: "list", ...inner, label: Label.REPEATED },
  );
  const innerType = type.fields[0]!.message!;
  Object.assign(innerType.fields[0]!, { localName: "no name" });
  expect(isCompilable(innerType)).toBe(false);
  const message = create(type, { one: { "no name": "a" }, list: [{ "no name": "b" }, {}] });
  const bytes = encode(type, message);
  expectSame(new Uint8Array(bytes), toBinary(type, message));
  expectSame(decode(type, bytes), fromBinary(type, bytes));
});

test("every value is written, or refused in the words of protobuf-es, in every scalar type", () => {
  const described = Object.values<unknown>(wellKnown) as { kind?: string }[];
  const types = described.filter(
    (type) => type.kind === "message" && isWrapperDesc(type as DescMessage),
  ) as (typeof StringValueSchema)[];
  expect(types.length).toBe(9);
  for (const type of types) {
    for (const value of WILD) {
      const message = Object.assign<StringValue, object>(create(type), { value });
      expectSame(
        outcome(() => new Uint8Array(encode(type, message))),
        outcome(() => toBinary(type, message)),
      );
    }
  }
});

test("no name becomes code", () => {
  const type = outerWith({ name: "name", type: Type.STRING });
  for (const localName of ["x;throw 1", 'x"]', "x`", "\u2028", "", "1x", "a-b"]) {
    const field = { ...type.fields[0]!, localName };
    expect(isCompilable({ ...type, fields: [field], members: [field] })).toBe(false);
  }
  expect(isCompilable(type)).toBe(true);
});
