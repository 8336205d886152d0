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

/** Records of fields that the type has and others, mostly in a wire type that they may have. */
export function drawBytes(draw: Draw, desc: DescMessage, depth = 0): Uint8Array {
  const writer = new BinaryWriter();
  for (let count = draw(fc.nat, { max: 5 }); count > 0; count--) {
    const field = desc.fields.length > 0 ? pick(draw, desc.fields) : undefined;
    const usual = draw(fc.nat, { max: 3 }) > 0;
    if (field && usual) drawRecord(draw, field, writer, depth);
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
  // A message with nothing but this field, written well.
  const { parent } = field;
  const only = { ...parent, members: [field], fields: [field] };
  const message = drawMessageOf(draw, only as DescMessage, { wild: false }, 1);
  try {
    writer.raw(toBinary(parent, message));
  } catch {
    // A required field is missing.
  }
}

function drawAny(draw: Draw, number: number, writer: BinaryWriter): void {
  const wireType = pick<WireType>(draw, [0, 1, 2, 3, 4, 5]);
  writer.tag(number, wireType);
  switch (wireType) {
    case WireType.Varint:
      writer.raw(new Uint8Array(pick(draw, VARINTS)));
      break;
    case WireType.Bit64:
      writer.raw(draw(fc.uint8Array, { minLength: 8, maxLength: 8 }));
      break;
    case WireType.Bit32:
      writer.raw(draw(fc.uint8Array, { minLength: 4, maxLength: 4 }));
      break;
    case WireType.LengthDelimited:
      writer.bytes(draw(fc.uint8Array, { maxLength: 12 }));
      break;
    case WireType.StartGroup:
      drawAny(draw, pick(draw, [1, 2, 77]), writer);
      writer.tag(number, WireType.EndGroup);
      break;
    default:
  }
}

const nines = (count: number, last: number) => [...Array.from({ length: count }, () => 0x81), last];
const VARINTS = [
  [0],
  [1],
  [150, 1],
  nines(4, 15),
  nines(4, 16),
  nines(8, 1),
  nines(9, 1),
  nines(9, 127),
  nines(10, 1),
  nines(14, 1),
];
