// What compiled functions call for everything that is longer than a line.
//
// A writer does not ask whether there is room: a store past the end of a typed array is dropped, and
// whoever started it sees from the last position that the buffer was too short. A reader does not
// ask whether bytes are left: past the end it reads nothing, its position runs over, and the message
// does not end where it should. Only what hands the buffer to native code asks.

/** Thrown for whatever a compiled function leaves to protobuf-es; never seen outside. */
export const odd = Symbol("left to protobuf-es");

/** Thrown when the buffer is too short; `room.wanted` is how long it must be at least. */
export const full = Symbol("buffer too short");
export const room = { wanted: 0 };

/** Thrown by a bounded reader where a message exceeds a bound. */
export const excess = Symbol("bound exceeded");

/**
 * The bytes that are read, as they were given: views are made of these. For a bounded reader also
 * how many more items, entries and unknown fields the message may have.
 */
export const input = { bytes: new Uint8Array(0) as Uint8Array, elementsLeft: 0 };

/** A value of up to 64 bits on its way from or to the wire, seen as what it is. */
export const words = new Int32Array(2);
export const signed = new BigInt64Array(words.buffer);
export const unsigned = new BigUint64Array(words.buffer);
export const float64 = new Float64Array(words.buffer);
export const float32 = new Float32Array(words.buffer);

/** The bigints of one byte, made once. */
export const small: readonly bigint[] = Array.from({ length: 128 }, (_, value) => BigInt(value));

function ensure(buf: Buffer, end: number): void {
  if (end <= buf.length) return;
  room.wanted = end;
  throw full;
}

/** Writes a number below 2^32. */
export function writeVarint(value: number, buf: Buffer, pos: number): number {
  while (value > 127) {
    buf[pos++] = (value & 127) | 128;
    value >>>= 7;
  }
  buf[pos++] = value;
  return pos;
}

/** Writes both words. */
export function writeLong(buf: Buffer, pos: number): number {
  let lo = words[0]!;
  let hi = words[1]!;
  while (hi !== 0 || lo >>> 0 > 127) {
    buf[pos++] = (lo & 127) | 128;
    lo = (lo >>> 7) | (hi << 25);
    hi >>>= 7;
  }
  buf[pos++] = lo;
  return pos;
}

/** Writes the low word as four bytes. */
export function write32(buf: Buffer, pos: number, value = words[0]!): number {
  buf[pos] = value;
  buf[pos + 1] = value >>> 8;
  buf[pos + 2] = value >>> 16;
  buf[pos + 3] = value >>> 24;
  return pos + 4;
}

/** Writes both words as eight bytes. */
export function write64(buf: Buffer, pos: number): number {
  return write32(buf, write32(buf, pos), words[1]);
}

function varintSize(value: number): number {
  return ((38 - Math.clz32(value | 1)) / 7) | 0;
}

/** Sets the length of what stands between `at`, where one byte was kept for it, and `end`. */
export function writeLength(buf: Buffer, at: number, end: number): number {
  const length = end - at - 1;
  if (length < 128) {
    buf[at] = length;
    return end;
  }
  const size = varintSize(length);
  buf.copyWithin(at + size, at + 1, end);
  return writeVarint(length, buf, at) + length;
}

/** Up to this many characters a loop beats the call into native code. */
const SHORT = 24;

/** Writes the length and the UTF-8 of a text; a lone surrogate becomes U+FFFD. */
export function writeText(value: string, buf: Buffer, pos: number): number {
  const length = value.length;
  ensure(buf, pos + length * 3 + 5);
  if (length <= SHORT) {
    let at = pos;
    buf[at++] = length;
    let i = 0;
    for (; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) break;
      buf[at++] = code;
    }
    if (i === length) return at;
  }
  const guess = varintSize(length);
  const written = buf.write(value, pos + guess);
  const size = varintSize(written);
  if (size !== guess) buf.copyWithin(pos + size, pos + guess, pos + guess + written);
  return writeVarint(written, buf, pos) + written;
}

/** Writes bytes without their length. */
export function writeRaw(value: Uint8Array, buf: Buffer, pos: number): number {
  ensure(buf, pos + value.length);
  buf.set(value, pos);
  return pos + value.length;
}

/** Reads a varint of up to ten bytes into the words. */
export function readVarint(buf: Buffer, pos: number): number {
  let lo = 0;
  let hi = 0;
  let byte = 128;
  for (let shift = 0; byte > 127; shift += 7) {
    if (shift === 70) throw odd;
    byte = buf[pos++]!;
    if (shift <= 28) lo |= (byte & 127) << shift;
    if (shift === 28) hi = (byte & 127) >> 4;
    else if (shift > 28) hi |= (byte & 127) << (shift - 32);
  }
  words[0] = lo;
  words[1] = hi;
  return pos;
}

/** Reads a tag into the low word: it fits into 32 bits, and its number and wire type exist. */
export function readTag(buf: Buffer, pos: number): number {
  const end = readVarint(buf, pos);
  const tag = words[0]! >>> 0;
  if (end - pos > 5 || words[1] !== 0 || tag < 8 || (tag & 7) > 5) throw odd;
  return end;
}

/** Turns the words from a signed number to its zigzag form. */
export function zigzag(): void {
  const [lo, hi] = [words[0]!, words[1]!];
  words[0] = (lo << 1) ^ (hi >> 31);
  words[1] = ((hi << 1) | (lo >>> 31)) ^ (hi >> 31);
}

/** Turns the words from the zigzag form to the signed number. */
export function unzigzag(): void {
  const [lo, hi] = [words[0]!, words[1]!];
  words[0] = ((lo >>> 1) | (hi << 31)) ^ -(lo & 1);
  words[1] = (hi >>> 1) ^ -(lo & 1);
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads UTF-8. What is none is refused, or replaced where the field allows it. */
export function readText(buf: Buffer, pos: number, end: number, verify: boolean): string {
  const value = buf.toString("utf8", pos, end);
  if (!value.includes("\ufffd")) return value;
  return (verify ? strict : lenient).decode(buf.subarray(pos, end));
}

/** Returns where the value ends that the tag announces; `limit` is how deep groups may go. */
export function skip(buf: Buffer, pos: number, tag: number, limit: number): number {
  switch (tag & 7) {
    case 0:
      while (buf[pos]! > 127) pos++;
      return pos + 1;
    case 1:
      return pos + 8;
    case 2: {
      const start = readVarint(buf, pos);
      return start + (words[0]! >>> 0);
    }
    case 3:
      if (limit <= 0) throw odd;
      while (pos < buf.length) {
        pos = readTag(buf, pos);
        const inner = words[0]! >>> 0;
        if (inner === tag + 1) return pos;
        pos = skip(buf, pos, inner, limit - 1);
      }
      throw odd;
    case 5:
      return pos + 4;
    default:
      throw odd;
  }
}
