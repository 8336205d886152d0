import { toBinary, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { drawMessageOf } from "./random-message.js";
import { pick, type Draw } from "./random-schema.js";

/** Bytes with some changed, lost, added or doubled. */
export function spoil(draw: Draw, bytes: Uint8Array): Uint8Array {
  const spoilt = [...bytes];
  for (let times = draw(fc.integer, { min: 1, max: 3 }); times > 0; times--) {
    const at = draw(fc.nat, { max: spoilt.length });
    const byte = draw(octet);
    switch (pick(draw, ["change", "cut", "insert", "remove", "double", "swap"])) {
      case "change":
        if (at < spoilt.length) spoilt[at] = byte;
        break;
      case "cut":
        spoilt.length = at;
        break;
      case "insert":
        spoilt.splice(at, 0, byte);
        break;
      case "remove":
        spoilt.splice(at, 1);
        break;
      case "double":
        spoilt.push(...bytes);
        break;
      default:
        spoilt.push(...spoilt.splice(0, at));
    }
  }
  return new Uint8Array(spoilt);
}

function octet(): fc.Arbitrary<number> {
  return fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 127, 128, 255));
}

/** Records of fields that the type has and of others, mostly in a wire type that they may have. */
export function drawBytes(draw: Draw, desc: DescMessage, depth = 0): Uint8Array {
  const writer = new BinaryWriter();
  for (let count = draw(fc.nat, { max: 5 }); count > 0; count--) {
    const field = desc.fields.length > 0 ? pick(draw, desc.fields) : undefined;
    if (field && draw(fc.nat, { max: 3 }) > 0) drawRecord(draw, field, writer, depth);
    else drawAny(draw, field && draw(fc.boolean) ? field.number : 77, writer);
  }
  return writer.finish();
}

function drawRecord(draw: Draw, field: DescField, writer: BinaryWriter, depth: number): void {
  if (field.message && field.fieldKind !== "map" && depth < 4) {
    const bytes = drawBytes(draw, field.message, depth + 1);
    if (field.delimitedEncoding) {
      writer.tag(field.number, WireType.StartGroup).raw(bytes);
      writer.tag(field.number, WireType.EndGroup);
    } else writer.tag(field.number, WireType.LengthDelimited).bytes(bytes);
    return;
  }
  // A message that has nothing but this field.
  const oneof = "oneof" in field ? field.oneof : undefined;
  const member = oneof ? { ...oneof, fields: [field] } : field;
  const only = { ...field.parent, members: [member], fields: [field] } as DescMessage;
  const message = drawMessageOf(draw, only, { wild: false }, 2);
  writer.raw(toBinary(only, message, { writeUnknownFields: false }));
}

function drawAny(draw: Draw, number: number, writer: BinaryWriter): void {
  const wireType = pick(draw, [0, 1, 2, 3, 4, 5, 6]);
  writeTag(draw, number, wireType, writer);
  switch (wireType as WireType) {
    case WireType.Varint:
      writer.raw(pick(draw, VARINTS));
      break;
    case WireType.Bit64:
      writer.raw(draw(fc.uint8Array, { minLength: 8, maxLength: 8 }));
      break;
    case WireType.Bit32:
      writer.raw(draw(fc.uint8Array, { minLength: 4, maxLength: 4 }));
      break;
    case WireType.LengthDelimited: {
      const bytes = draw(fc.uint8Array, { maxLength: 12 });
      const length = pick(draw, [bytes.length, bytes.length, bytes.length + 1, 2 ** 32 - 1]);
      writer.uint32(length).raw(bytes);
      break;
    }
    case WireType.StartGroup:
      drawAny(draw, pick(draw, [1, 2, 77]), writer);
      writer.tag(number, WireType.EndGroup);
      break;
    default:
  }
}

/** Writes a tag; now and then one that is too long, or too large. */
function writeTag(draw: Draw, number: number, wireType: number, writer: BinaryWriter): void {
  let [rest, size] = [((number << 3) | wireType) >>> 0, 1];
  if (draw(fc.nat, { max: 3 }) === 0) size = pick(draw, [2, 4, 5, 6, 10, 11]);
  const bytes = [];
  for (; rest > 127 || bytes.length < size - 1; rest >>>= 7) bytes.push((rest & 127) | 128);
  if (bytes.length === 4 && draw(fc.boolean)) rest |= 16;
  writer.raw(new Uint8Array([...bytes, rest]));
}

const ones = (count: number, last: number) => [...Array.from({ length: count }, () => 0x81), last];
// prettier-ignore
const VARINTS = [
  [0], [1], [150, 1], ones(3, 127), ones(4, 15), ones(4, 16), ones(4, 127), ones(5, 1),
  ones(8, 1), ones(8, 127), ones(9, 1), ones(9, 127), ones(10, 1), ones(14, 1),
].map((bytes) => new Uint8Array(bytes));
