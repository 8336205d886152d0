import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Random = () => number;

const below = (random: Random, most: number) => Math.floor(random() * most);
const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)]!;
const noise = (random: Random, most: number) =>
  Uint8Array.from({ length: below(random, most) }, () => below(random, 256));

const numbers = [0n, 1n, -1n, 2n ** 31n, 2n ** 63n - 1n, -(2n ** 63n)];
const texts = ["", "x", "ord_01", "85123A", "GBP", "’ OR 1=1 --", "\u0000", "é".repeat(400), "٣"];

/** Bytes that have the shape of a message, and seldom its sense. */
export function randomMessage(schema: DescMessage, random: Random, depth = 0): Uint8Array {
  const writer = new BinaryWriter();
  for (const field of schema.fields) {
    const times = field.fieldKind === "list" ? below(random, 4) : Number(random() < 0.7);
    for (let time = 0; time < times; time++) writeField(writer, field, random, depth);
  }
  return writer.finish();
}

function writeField(writer: BinaryWriter, field: DescField, random: Random, depth: number): void {
  const bytes = () => {
    if (field.message && depth < 5) return randomMessage(field.message, random, depth + 1);
    if (random() < 0.7) return new TextEncoder().encode(pick(random, texts));
    return noise(random, 50);
  };
  const scalar = field.scalar ?? (field.enum ? ScalarType.INT32 : ScalarType.BYTES);
  const right = field.message ? WireType.LengthDelimited : wireTypes[scalar];
  // Now and then it is not of the field's type.
  const type = random() < 0.95 ? (right ?? WireType.Varint) : pick(random, [0, 1, 2, 5] as const);
  writer.tag(field.number, type);
  if (type === WireType.LengthDelimited) writer.bytes(bytes());
  else if (type === WireType.Varint) writer.int64(pick(random, numbers));
  else
    writer.raw(
      Uint8Array.from({ length: type === WireType.Bit64 ? 8 : 4 }, () => below(random, 256)),
    );
}

const wireTypes: Partial<Record<ScalarType, WireType>> = {
  [ScalarType.STRING]: WireType.LengthDelimited,
  [ScalarType.BYTES]: WireType.LengthDelimited,
  [ScalarType.DOUBLE]: WireType.Bit64,
  [ScalarType.FLOAT]: WireType.Bit32,
};

/** The bytes with something wrong in them: turned, cut, doubled, or grown. */
export function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  const at = below(random, bytes.length + 1);
  switch (below(random, 5)) {
    case 0:
      return bytes.map((byte, place) => (place === at ? byte ^ (1 << below(random, 8)) : byte));
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return new Uint8Array([...bytes, ...bytes]);
    case 3:
      return new Uint8Array([
        ...bytes.subarray(0, at),
        ...noise(random, 20),
        ...bytes.subarray(at),
      ]);
    default:
      return noise(random, 200);
  }
}

/** A message that is sent as these bytes: protobuf writes what it does not know as it came. */
export function sentAs(schema: DescMessage, bytes: Uint8Array): Message {
  const message = create(schema);
  try {
    const reader = new BinaryReader(bytes);
    const [no, wireType] = reader.tag();
    message.$unknown = [{ no, wireType, data: bytes.subarray(reader.pos) }];
  } catch {
    // They do not begin like a field: nothing is sent of them.
  }
  return message;
}
