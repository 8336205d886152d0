import {
  create,
  ScalarType,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { pick, type Draw } from "./random-schema.js";

const DEEPEST = 4;

/** How values are drawn: `wild` ones are often of no type that the field can have. */
export interface Manner {
  wild: boolean;
}

/** A message of the type; its fields are set at random. */
export function drawMessageOf(draw: Draw, desc: DescMessage, manner: Manner, depth = 0): Message {
  const message = create(desc);
  for (const member of desc.members) {
    const field = member.kind === "oneof" ? pick(draw, member.fields) : member;
    const required = field.presence === 3 && (!manner.wild || draw(fc.boolean));
    if (!required && (depth >= DEEPEST || draw(fc.nat, { max: 3 }) === 0)) continue;
    const value = drawField(draw, field, manner, depth);
    if (member.kind === "oneof") {
      Reflect.set(message, member.localName, { case: field.localName, value });
    } else {
      Reflect.set(message, field.localName, value);
    }
  }
  if (draw(fc.nat, { max: 5 }) === 0) {
    message.$unknown = [
      { no: 5_000, wireType: 2, data: new Uint8Array([2, 1, 2]) },
      { no: 5_001, wireType: 0, data: new Uint8Array([200, 1]) },
    ];
  }
  return message;
}

function drawField(draw: Draw, field: DescField, manner: Manner, depth: number): unknown {
  if (manner.wild && draw(fc.nat, { max: 5 }) === 0) return drawWild(draw);
  switch (field.fieldKind) {
    case "list":
      return Array.from({ length: draw(fc.nat, { max: 4 }) }, () =>
        drawValue(draw, field, manner, depth),
      );
    case "map": {
      const keys = Array.from({ length: draw(fc.nat, { max: 3 }) }, () =>
        manner.wild && draw(fc.nat, { max: 9 }) === 0
          ? pick(draw, ["x", "1x", "", "-5", "1e99", "0x10"])
          : String(drawScalar(draw, field.mapKey)),
      );
      return Object.fromEntries(keys.map((key) => [key, drawValue(draw, field, manner, depth)]));
    }
    default:
      return drawValue(draw, field, manner, depth);
  }
}

function drawValue(draw: Draw, field: DescField, manner: Manner, depth: number): unknown {
  if (manner.wild && draw(fc.nat, { max: 5 }) === 0) return drawWild(draw);
  if (field.enum) return drawEnumValue(draw, field.enum);
  if (field.message) return drawChild(draw, field, field.message, manner, depth);
  const value = drawScalar(draw, field.scalar);
  const asText = field.fieldKind !== "map" && "longAsString" in field && field.longAsString;
  return asText ? String(value) : value;
}

function drawChild(
  draw: Draw,
  field: DescField,
  desc: DescMessage,
  manner: Manner,
  depth: number,
): unknown {
  if (desc.typeName === "google.protobuf.Struct" && !field.parent.typeName.startsWith("google.")) {
    return draw(jsonObject);
  }
  const single = field.fieldKind === "message" && !field.oneof;
  if (single && isWrapperDesc(desc)) {
    return drawScalar(draw, desc.fields[0].scalar);
  }
  return drawMessageOf(draw, desc, manner, depth + 1);
}

function drawEnumValue(draw: Draw, { open, values }: DescEnum): number {
  return open && draw(fc.boolean)
    ? (drawScalar(draw, ScalarType.INT32) as number)
    : pick(draw, values).number;
}

const TEXTS = ["", "\ud800", "a\udfff", "\ufffd", "\ufeffx\ufffd", "é", "€".repeat(42)];
const LENGTHS = [1, 23, 24, 25, 31, 32, 33, 127, 128, 129, 17_000];

function drawScalar(draw: Draw, type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return draw(text);
    case ScalarType.BYTES:
      return draw(fc.uint8Array, { maxLength: 300 });
    case ScalarType.BOOL:
      return draw(fc.boolean);
    case ScalarType.FLOAT:
      return draw(fc.float);
    case ScalarType.DOUBLE:
      return draw(fc.double);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return draw(edges, 0, 2 ** 32 - 1);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return draw(edges, -(2 ** 31), 2 ** 31 - 1);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return draw(bigEdges, 0n, 2n ** 64n - 1n);
    default:
      return draw(bigEdges, -(2n ** 63n), 2n ** 63n - 1n);
  }
}

function text(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.constantFrom(...TEXTS),
    fc.string().filter((value) => value !== "__proto__"),
    fc.string({ unit: "binary" }),
    fc.constantFrom(...LENGTHS).map((length) => "x".repeat(length)),
  );
}

function jsonObject(): fc.Arbitrary<unknown> {
  return fc.dictionary(fc.string(), fc.jsonValue());
}

function edges(min: number, max: number): fc.Arbitrary<number> {
  const near = [0, 1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28, -1, -128, min, max];
  return fc.oneof(fc.integer({ min, max }), fc.constantFrom(...near.filter((n) => n >= min)));
}

function bigEdges(min: bigint, max: bigint): fc.Arbitrary<bigint> {
  const powers = [0n, 7n, 14n, 28n, 31n, 32n, 35n, 49n, 56n, 62n].map((bits) => 1n << bits);
  const near = [
    0n,
    min,
    max,
    ...powers.flatMap((power) => [power - 1n, power, -power, -power - 1n]),
  ];
  return fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(...near.filter((n) => n >= min)));
}

/** Values of which no field can hold them all. */
// prettier-ignore
export const WILD: readonly unknown[] = [
  undefined, null, "", "x", "12", 0, -0, -1, 1.5, 2 ** 31, 2 ** 40, Number.NaN, 0n, 1n << 70n,
  true, [], {}, { case: "x" }, [1], ["a"], new Uint8Array([1]), { $typeName: "random.M1" },
  1e39, -1e39, Number.POSITIVE_INFINITY, "-5", "1e3",
];

function drawWild(draw: Draw): unknown {
  return pick(draw, WILD);
}
