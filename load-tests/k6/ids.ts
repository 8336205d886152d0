import { randomBytes } from "k6/crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * A new id in the contract's form: a prefix and a UUIDv7 in base 32 (TypeID). Ten digits hold the
 * milliseconds since the epoch, sixteen the version, the variant and 74 random bits.
 */
export function newId(prefix: string): string {
  let time = Date.now();
  let text = "";
  for (let digit = 0; digit < 10; digit++) {
    text = ALPHABET[time % 32] + text;
    time = Math.floor(time / 32);
  }
  const random = new Uint8Array(randomBytes(16));
  for (let digit = 0; digit < 16; digit++) {
    const bits = (random[digit] ?? 0) & 31;
    // Version 7 is in the first four bits, the variant 0b10 in the 17th and 18th of these eighty.
    text += ALPHABET[digit === 0 ? 14 | (bits & 1) : digit === 3 ? 8 | (bits & 19) : bits];
  }
  return `${prefix}_${text}`;
}
