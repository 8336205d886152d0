import { randomBytes } from "node:crypto";

/** Crockford's base 32 in lower case, as TypeID writes it. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * A new id: a prefix that says what it names, and a UUIDv7 (RFC 9562) in base 32, so that ids sort by
 * the time they were made (TypeID 0.3).
 *
 * @example
 * newId("chk"); // "chk_01jd3v9q8kf2h9s5w3x1c7e4zt"
 */
export function newId(prefix: string, now = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  let value = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (let digit = 0; digit < 26; digit++) {
    text = ALPHABET[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return `${prefix}_${text}`;
}

/**
 * The id of something that belongs to something else, under which the same step always finds it.
 *
 * @example
 * relatedId("rsv", "chk_01jd3v9q8kf2h9s5w3x1c7e4zt"); // "rsv_01jd3v9q8kf2h9s5w3x1c7e4zt"
 */
export function relatedId(prefix: string, id: string): string {
  return `${prefix}_${id.slice(id.indexOf("_") + 1)}`;
}
