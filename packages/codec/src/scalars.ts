import { ScalarType as Type } from "@bufbuild/protobuf";

const VARINT = 0;
const BIT64 = 1;
export const DELIMITED = 2;
export const START_GROUP = 3;
export const END_GROUP = 4;
const BIT32 = 5;

/** How a scalar is handled, as source in which `v` is the value. */
export interface Scalar {
  wireType: number;
  zero: string;
  /** Whether it is not zero; also true for what is none of its values. */
  isSet: string;
  /** Writes it, without a tag, or throws `odd`. */
  write: string;
  /** Reads it into `v`. For what is length-delimited, `readLength` comes before. */
  read: string;
}

/** Reads a length into `n`, which must not lead past the end. */
export const readLength =
  "n = buf[pos++]; if (n > 127) { pos = readVarint(buf, pos - 1); n = words[0] >>> 0; } if (!(n <= end - pos)) throw odd;";

const isInt32 = "if (v !== (v | 0)) throw odd;";
const isUint32 = "if (v !== v >>> 0) throw odd;";
const toBigint = `if (typeof v === "string") v = BigInt(v);`;
const toSigned = `${toBigint} signed[0] = v; if (signed[0] !== v) throw odd;`;
const toUnsigned = `${toBigint} unsigned[0] = v; if (unsigned[0] !== v) throw odd;`;
const toDouble = `if (typeof v !== "number") throw odd; float64[0] = v;`;
const toFloat = `if (typeof v !== "number") throw odd; float32[0] = v; if (!Number.isFinite(float32[0]) && Number.isFinite(v)) throw odd;`;
const writeInt32 =
  "if (v < 0) { words[0] = v; words[1] = -1; pos = writeLong(buf, pos); } else pos = writeVarint(v, buf, pos);";
const writeSint32 = "pos = writeVarint(((v << 1) ^ (v >> 31)) >>> 0, buf, pos);";

/** Most varints are of one byte. */
const word = "v = buf[pos++]; if (v > 127) { pos = readVarint(buf, pos - 1); v = words[0]";
const readUint32 = `${word} >>> 0; }`;
const byteOr = (one: string, more: string) =>
  `n = buf[pos++]; if (n < 128) v = ${one}; else { pos = readVarint(buf, pos - 1); v = ${more}; }`;
const fixed = (name: string, size: number) => `v = buf.read${name}LE(pos); pos += ${size};`;
const read64 = "words[0] = buf.readInt32LE(pos); words[1] = buf.readInt32LE(pos + 4); pos += 8;";

function number(wireType: number, write: string, read: string, isSet = "v !== 0"): Scalar {
  return { wireType, zero: "0", isSet, write, read };
}

/** Floating point: minus zero is a value. */
function decimal(wireType: number, write: string, read: string): Scalar {
  return number(wireType, write, read, "!Object.is(v, 0)");
}

/** 64 bits: zero may be "0" here, where the field has jstype = JS_STRING. */
function long(wireType: number, write: string, read: string): Scalar {
  return { wireType, zero: "0n", isSet: "v != 0", write, read };
}

const bool: Scalar = {
  wireType: VARINT,
  zero: "false",
  isSet: "v !== false",
  write: `if (typeof v !== "boolean") throw odd; buf[pos++] = v ? 1 : 0;`,
  read: byteOr("n !== 0", "(words[0] | words[1]) !== 0"),
};

const string: Scalar = {
  wireType: DELIMITED,
  zero: `""`,
  isSet: `v !== ""`,
  write: `if (typeof v !== "string") throw odd; pos = writeText(v, buf, pos);`,
  read: `if (n < short.length) v = short[n](buf, pos); if (v === undefined) v = readText(buf, pos, pos + n, verify); pos += n;`,
};

const bytes: Scalar = {
  wireType: DELIMITED,
  zero: "new Uint8Array(0)",
  isSet: "v.length !== 0 || !(v instanceof Uint8Array)",
  write: `if (!(v instanceof Uint8Array)) throw odd; pos = writeRaw(v, buf, writeVarint(v.length, buf, pos));`,
  read: `v = input.bytes.subarray(pos, pos += n);`,
};

const scalars: Record<Type, Scalar> = {
  [Type.BOOL]: bool,
  [Type.STRING]: string,
  [Type.BYTES]: bytes,
  [Type.INT32]: number(VARINT, `${isInt32} ${writeInt32}`, `${word}; }`),
  [Type.UINT32]: number(VARINT, `${isUint32} pos = writeVarint(v, buf, pos);`, readUint32),
  [Type.SINT32]: number(
    VARINT,
    `${isInt32} ${writeSint32}`,
    `${readUint32} v = (v >>> 1) ^ -(v & 1);`,
  ),
  [Type.FIXED32]: number(BIT32, `${isUint32} pos = write32(buf, pos, v);`, fixed("UInt32", 4)),
  [Type.SFIXED32]: number(BIT32, `${isInt32} pos = write32(buf, pos, v);`, fixed("Int32", 4)),
  [Type.FLOAT]: decimal(BIT32, `${toFloat} pos = write32(buf, pos);`, fixed("Float", 4)),
  [Type.DOUBLE]: decimal(BIT64, `${toDouble} pos = write64(buf, pos);`, fixed("Double", 8)),
  [Type.INT64]: long(
    VARINT,
    `${toSigned} pos = writeLong(buf, pos);`,
    byteOr("small[n]", "signed[0]"),
  ),
  [Type.UINT64]: long(
    VARINT,
    `${toUnsigned} pos = writeLong(buf, pos);`,
    byteOr("small[n]", "unsigned[0]"),
  ),
  [Type.SINT64]: long(
    VARINT,
    `${toSigned} zigzag(); pos = writeLong(buf, pos);`,
    "pos = readVarint(buf, pos); unzigzag(); v = signed[0];",
  ),
  [Type.FIXED64]: long(
    BIT64,
    `${toUnsigned} pos = write64(buf, pos);`,
    `${read64} v = unsigned[0];`,
  ),
  [Type.SFIXED64]: long(BIT64, `${toSigned} pos = write64(buf, pos);`, `${read64} v = signed[0];`),
};

/** The scalar of a field, its list items or map values; an enum is an int32 on the wire. */
export function scalarOf(type: Type = Type.INT32): Scalar {
  return scalars[type];
}
