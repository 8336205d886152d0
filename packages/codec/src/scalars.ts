import { ScalarType } from "@bufbuild/protobuf";

export const VARINT = 0;
export const BIT64 = 1;
export const DELIMITED = 2;
export const START_GROUP = 3;
export const END_GROUP = 4;
export const BIT32 = 5;

/** How a scalar is handled, as source in which `v` is the value. */
export interface Scalar {
  wireType: number;
  zero: string;
  /** Whether it is not zero; also true for what is none of its values. */
  isSet: string;
  /** Writes it, without a tag, or throws `odd`. */
  write: string;
  /** Reads it into `v`. */
  read: string;
}

/** Reads a length into `n`, which must not lead past the end. */
export const readLength =
  "n = buf[pos++]; if (n > 127) { pos = readVarint(buf, pos - 1); n = words[0] >>> 0; } if (!(n <= end - pos)) throw odd;";

const isInt32 = "if (v !== (v | 0)) throw odd;";
const isUint32 = "if (v !== v >>> 0) throw odd;";
const isNumber = `if (typeof v !== "number") throw odd;`;
const toBigint = `if (typeof v === "string") v = BigInt(v);`;
const toSigned = `${toBigint} signed[0] = v; if (signed[0] !== v) throw odd;`;
const toUnsigned = `${toBigint} unsigned[0] = v; if (unsigned[0] !== v) throw odd;`;

function number(wireType: number, write: string, read: string): Scalar {
  return { wireType, zero: "0", isSet: "v !== 0", write, read };
}

function decimal(wireType: number, write: string, read: string): Scalar {
  return { ...number(wireType, `${isNumber} ${write}`, read), isSet: "!Object.is(v, 0)" };
}

/** Zero may be "0" here, where the field has jstype = JS_STRING. */
function long(wireType: number, write: string, read: string): Scalar {
  return { wireType, zero: "0n", isSet: "v != 0", write, read };
}

const word = "v = buf[pos++]; if (v > 127) { pos = readVarint(buf, pos - 1); v = words[0]";
const byte = "n = buf[pos++]; if (n < 128)";

const scalars: Record<ScalarType, Scalar> = {
  [ScalarType.INT32]: number(
    VARINT,
    `${isInt32} if (v < 0) { words[0] = v; words[1] = -1; pos = writeLong(buf, pos); } else pos = writeVarint(v, buf, pos);`,
    `${word}; }`,
  ),
  [ScalarType.UINT32]: number(
    VARINT,
    `${isUint32} pos = writeVarint(v, buf, pos);`,
    `${word} >>> 0; }`,
  ),
  [ScalarType.SINT32]: number(
    VARINT,
    `${isInt32} pos = writeVarint(((v << 1) ^ (v >> 31)) >>> 0, buf, pos);`,
    `${word} >>> 0; } v = (v >>> 1) ^ -(v & 1);`,
  ),
  [ScalarType.FIXED32]: number(
    BIT32,
    `${isUint32} pos = write32(buf, pos, v);`,
    "v = buf.readUInt32LE(pos); pos += 4;",
  ),
  [ScalarType.SFIXED32]: number(
    BIT32,
    `${isInt32} pos = write32(buf, pos, v);`,
    "v = buf.readInt32LE(pos); pos += 4;",
  ),
  [ScalarType.FLOAT]: decimal(
    BIT32,
    "float32[0] = v; if (!Number.isFinite(float32[0]) && Number.isFinite(v)) throw odd; pos = write32(buf, pos);",
    "v = buf.readFloatLE(pos); pos += 4;",
  ),
  [ScalarType.DOUBLE]: decimal(
    BIT64,
    "float64[0] = v; pos = write64(buf, pos);",
    "v = buf.readDoubleLE(pos); pos += 8;",
  ),
  [ScalarType.INT64]: long(
    VARINT,
    `${toSigned} pos = writeLong(buf, pos);`,
    `${byte} v = small[n]; else { pos = readVarint(buf, pos - 1); v = signed[0]; }`,
  ),
  [ScalarType.UINT64]: long(
    VARINT,
    `${toUnsigned} pos = writeLong(buf, pos);`,
    `${byte} v = small[n]; else { pos = readVarint(buf, pos - 1); v = unsigned[0]; }`,
  ),
  [ScalarType.SINT64]: long(
    VARINT,
    `${toSigned} zigzag(); pos = writeLong(buf, pos);`,
    "pos = readVarint(buf, pos); unzigzag(); v = signed[0];",
  ),
  [ScalarType.FIXED64]: long(
    BIT64,
    `${toUnsigned} pos = write64(buf, pos);`,
    "pos = read64(buf, pos); v = unsigned[0];",
  ),
  [ScalarType.SFIXED64]: long(
    BIT64,
    `${toSigned} pos = write64(buf, pos);`,
    "pos = read64(buf, pos); v = signed[0];",
  ),
  [ScalarType.BOOL]: {
    wireType: VARINT,
    zero: "false",
    isSet: "v !== false",
    write: `if (typeof v !== "boolean") throw odd; buf[pos++] = v ? 1 : 0;`,
    read: `${byte} v = n !== 0; else { pos = readVarint(buf, pos - 1); v = (words[0] | words[1]) !== 0; }`,
  },
  [ScalarType.STRING]: {
    wireType: DELIMITED,
    zero: `""`,
    isSet: `v !== ""`,
    write: `if (typeof v !== "string") throw odd; pos = writeText(v, buf, pos);`,
    read: `${readLength} if (n < short.length) v = short[n](buf, pos); if (v === undefined) v = readText(buf, pos, pos + n, verify); pos += n;`,
  },
  [ScalarType.BYTES]: {
    wireType: DELIMITED,
    zero: "new Uint8Array(0)",
    isSet: "v.length !== 0 || !(v instanceof Uint8Array)",
    write:
      "if (!(v instanceof Uint8Array)) throw odd; pos = writeRaw(v, buf, writeVarint(v.length, buf, pos));",
    read: `${readLength} v = input.bytes.subarray(pos, pos += n);`,
  },
};

/** The scalar of a field, its list items or map values; an enum is an int32 on the wire. */
export function scalarOf(type: ScalarType = ScalarType.INT32): Scalar {
  return scalars[type];
}
