import {
  create,
  createFileRegistry,
  type DescMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  Edition,
  FeatureSet_EnumType,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FeatureSet_RepeatedFieldEncoding,
  FeatureSet_Utf8Validation,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FieldOptions_JSType,
  FileDescriptorSetSchema,
  file_google_protobuf_any,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
  type DescriptorProtoSchema,
  type EnumDescriptorProtoSchema,
  type FieldDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

/** Draws a value from an arbitrary: what `fc.gen()` hands to a property. */
export type Draw = fc.GeneratorValue;

/** One of these, which may be large objects: fast-check compares what it is handed. */
export function pick<Item>(draw: Draw, items: readonly Item[]): Item {
  return items[draw(fc.nat, { max: items.length - 1 })]!;
}

type Syntax = "proto2" | "proto3" | "editions";
type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema> & object;
type MessageInit = MessageInitShape<typeof DescriptorProtoSchema> & object;

const IMPORTED = [
  file_google_protobuf_any,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
].map((file) => file.proto);

const WELL_KNOWN = [
  "Any",
  "BytesValue",
  "Int64Value",
  "ListValue",
  "StringValue",
  "Struct",
  "Timestamp",
  "Value",
].map((name) => `.google.protobuf.${name}`);

const SCALARS = [
  Type.DOUBLE,
  Type.FLOAT,
  Type.INT64,
  Type.UINT64,
  Type.INT32,
  Type.FIXED64,
  Type.FIXED32,
  Type.BOOL,
  Type.STRING,
  Type.BYTES,
  Type.UINT32,
  Type.SFIXED32,
  Type.SFIXED64,
  Type.SINT32,
  Type.SINT64,
];
const LONGS = [Type.INT64, Type.UINT64, Type.FIXED64, Type.SFIXED64, Type.SINT64];
const NOT_KEYS = [Type.DOUBLE, Type.FLOAT, Type.BYTES];
const MESSAGES = ["M0", "M1", "M2"];

const NUMBERS = [1, 2, 3, 4, 5, 15, 16, 17, 100, 2047, 2048, 18_999, 300_000, 2 ** 29 - 1];

/** A message type with whatever a proto file can say about it, and all it may refer to. */
export function drawSchema(draw: Draw): DescMessage {
  const syntax = pick<Syntax>(draw, ["proto2", "proto3", "editions"]);
  const file = {
    name: "random.proto",
    package: "random",
    syntax: syntax === "proto2" ? "" : syntax,
    edition: syntax === "editions" ? Edition.EDITION_2023 : undefined,
    dependency: IMPORTED.map((imported) => imported.name),
    enumType: ["E0", "E1"].map((name) => drawEnum(draw, syntax, name)),
    messageType: MESSAGES.map((name) => drawMessage(draw, syntax, name)),
  };
  const set = create(FileDescriptorSetSchema, { file: [...IMPORTED, file] });
  return createFileRegistry(set).getMessage("random.M0")!;
}

function drawEnum(
  draw: Draw,
  syntax: Syntax,
  name: string,
): MessageInitShape<typeof EnumDescriptorProtoSchema> {
  const closed = syntax === "proto2" || (syntax === "editions" && draw(fc.boolean));
  const first = closed && draw(fc.boolean) ? 3 : 0;
  return {
    name,
    value: [first, 7, -1, 1000].map((number, i) => ({ name: `${name}_V${i}`, number })),
    options:
      syntax === "editions"
        ? { features: { enumType: FeatureSet_EnumType[closed ? "CLOSED" : "OPEN"] } }
        : undefined,
  };
}

function drawMessage(draw: Draw, syntax: Syntax, name: string): MessageInit {
  const count = draw(fc.nat, { max: 8 });
  const start = draw(fc.nat, { max: NUMBERS.length });
  const message = { name, field: [] as FieldInit[], nestedType: [] as MessageInit[] };
  const oneofs = [{ name: "choice" }];
  for (let i = 0; i < count; i++) {
    const number = NUMBERS[(start + i) % NUMBERS.length]!;
    const field: FieldInit = { name: `some_field${i}`, number, label: Label.OPTIONAL };
    const kind = pick(draw, ["one", "one", "list", "map", "oneof"]);
    if (kind === "map") {
      const entry = drawEntry(draw, syntax, `SomeField${i}Entry`);
      message.nestedType.push(entry);
      const typeName = `.random.${name}.${entry.name}`;
      message.field.push({ ...field, label: Label.REPEATED, type: Type.MESSAGE, typeName });
      continue;
    }
    Object.assign(field, drawType(draw, syntax));
    if (kind === "list") drawList(draw, syntax, field);
    if (kind === "oneof") field.oneofIndex = 0;
    if (kind === "one" && drawPresence(draw, syntax, field)) {
      field.oneofIndex = oneofs.push({ name: `_some_field${i}` }) - 1;
    }
    message.field.push(field);
  }
  const used = message.field.some((field) => field.oneofIndex === 0);
  if (used) return { ...message, oneofDecl: oneofs };
  for (const field of message.field) if (field.oneofIndex !== undefined) field.oneofIndex -= 1;
  return { ...message, oneofDecl: oneofs.slice(1) };
}

function drawEntry(draw: Draw, syntax: Syntax, name: string): MessageInit {
  const keys = SCALARS.filter((type) => !NOT_KEYS.includes(type));
  const value = drawType(draw, syntax === "proto2" ? "proto3" : syntax);
  return {
    name,
    options: { mapEntry: true },
    field: [
      { name: "key", number: 1, label: Label.OPTIONAL, type: pick(draw, keys) },
      {
        name: "value",
        number: 2,
        label: Label.OPTIONAL,
        type: value.type,
        typeName: value.typeName,
      },
    ],
  };
}

function drawType(draw: Draw, syntax: Syntax): Partial<FieldInit> {
  switch (pick(draw, ["scalar", "scalar", "scalar", "enum", "message", "wellKnown"])) {
    case "enum":
      return { type: Type.ENUM, typeName: `.random.${pick(draw, ["E0", "E1"])}` };
    case "message": {
      const group = syntax === "proto2" && draw(fc.boolean);
      const typeName = `.random.${pick(draw, MESSAGES)}`;
      if (syntax !== "editions" || draw(fc.boolean)) {
        return { type: group ? Type.GROUP : Type.MESSAGE, typeName };
      }
      const messageEncoding = FeatureSet_MessageEncoding.DELIMITED;
      return { type: Type.MESSAGE, typeName, options: { features: { messageEncoding } } };
    }
    case "wellKnown":
      return { type: Type.MESSAGE, typeName: pick(draw, WELL_KNOWN) };
    default: {
      const type = pick(draw, SCALARS);
      if (LONGS.includes(type) && draw(fc.boolean)) {
        return { type, options: { jstype: FieldOptions_JSType.JS_STRING } };
      }
      if (type !== Type.STRING || syntax !== "editions") return { type };
      const utf8Validation = FeatureSet_Utf8Validation[draw(fc.boolean) ? "NONE" : "VERIFY"];
      return { type, options: { features: { utf8Validation } } };
    }
  }
}

function drawList(draw: Draw, syntax: Syntax, field: FieldInit): void {
  field.label = Label.REPEATED;
  if ([Type.STRING, Type.BYTES, Type.MESSAGE, Type.GROUP].includes(field.type!)) return;
  const packed = draw(fc.boolean);
  const repeatedFieldEncoding = FeatureSet_RepeatedFieldEncoding[packed ? "PACKED" : "EXPANDED"];
  field.options =
    syntax === "editions"
      ? { ...field.options, features: { repeatedFieldEncoding } }
      : { ...field.options, packed };
}

/** Says how the field knows whether it is set; true where that takes a oneof of its own. */
function drawPresence(draw: Draw, syntax: Syntax, field: FieldInit): boolean {
  if (syntax === "proto3") {
    field.proto3Optional = draw(fc.boolean);
    return field.proto3Optional;
  }
  // A required message could hold itself.
  const isMessage = field.type === Type.MESSAGE || field.type === Type.GROUP;
  if (syntax === "proto2") {
    if (!isMessage && draw(fc.nat, { max: 9 }) === 0) field.label = Label.REQUIRED;
    else if (draw(fc.boolean)) field.defaultValue = defaultOf(field.type!);
    return false;
  }
  const scalar = ["EXPLICIT", "IMPLICIT", "LEGACY_REQUIRED"] as const;
  const name = isMessage ? "EXPLICIT" : pick(draw, scalar);
  const fieldPresence = FeatureSet_FieldPresence[name];
  field.options = { ...field.options, features: { ...field.options?.features, fieldPresence } };
  return false;
}

function defaultOf(type: Type): string | undefined {
  switch (type) {
    case Type.MESSAGE:
    case Type.GROUP:
    case Type.ENUM:
      return undefined;
    case Type.BOOL:
      return "true";
    case Type.STRING:
      return 'it\'s "so"\u2028';
    case Type.BYTES:
      return "\\001x";
    default:
      return "7";
  }
}
