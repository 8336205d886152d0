import type { ReplyField } from "./reply-field.js";
import { staticTable } from "./static-table.js";

/** What a peer's table has until its SETTINGS say otherwise. With less, no field is indexed. */
const DEFAULT_TABLE_BYTES = 4096;

const staticNames = new Map<string, number>();
for (const [index, { name }] of staticTable.entries())
  if (!staticNames.has(name)) staticNames.set(name, index + 1);

/**
 * Encodes header blocks of one connection (RFC 7541). Indexed fields are put into the peer's table when
 * they are first sent, and are one byte from then on; all others are literals, which leave the table as
 * it is. Values are sent as they are: Huffman coding would cost more than it saves.
 */
export class HpackEncoder {
  /** Place in the peer's table of each indexed field, counted from the first that was put there. */
  #places: (number | undefined)[] = [];
  #count = 0;
  #isIndexing = true;
  #hasSizeUpdate = false;

  /**
   * The peer's SETTINGS_HEADER_TABLE_SIZE. A smaller table than the default must be acknowledged
   * (section 4.2), which is done by emptying it for good.
   */
  setMaxTableSize(bytes: number): void {
    if (!this.#isIndexing || bytes >= DEFAULT_TABLE_BYTES) return;
    this.#isIndexing = false;
    this.#places = [];
    this.#hasSizeUpdate = true;
  }

  /** Begins a block; returns the position behind. Takes one byte at most. */
  begin(out: Buffer, at: number): number {
    if (!this.#hasSizeUpdate) return at;
    // Section 4.2: at the beginning of the next block.
    this.#hasSizeUpdate = false;
    out[at] = 0x20;
    return at + 1;
  }

  /** Writes a field; returns the position behind. Takes `field.maxBytes` at most. */
  write(out: Buffer, at: number, field: ReplyField): number {
    const { tableId } = field;
    if (tableId < 0 || !this.#isIndexing) return literal(out, at, 0x00, field);
    const place = this.#places[tableId];
    if (place !== undefined) {
      // Section 2.3.3: the newest entry comes first after the static table.
      out[at] = 0x80 | (staticTable.length + this.#count - place);
      return at + 1;
    }
    this.#places[tableId] = this.#count++;
    return literal(out, at, 0x40, field);
  }
}

/** Section 6.2: `pattern` says whether the field goes into the table. */
function literal(out: Buffer, at: number, pattern: number, { name, value }: ReplyField): number {
  const index = staticNames.get(name);
  if (index === undefined) {
    out[at] = pattern;
    at = text(out, at + 1, name);
  } else at = integer(out, at, pattern, pattern === 0x40 ? 0x3f : 0x0f, index);
  return text(out, at, value);
}

function text(out: Buffer, at: number, value: string): number {
  at = integer(out, at, 0x00, 0x7f, value.length);
  return at + out.write(value, at, "latin1");
}

/** Section 5.1; `mask` has the bits of the prefix. */
function integer(out: Buffer, at: number, pattern: number, mask: number, value: number): number {
  if (value < mask) {
    out[at] = pattern | value;
    return at + 1;
  }
  out[at++] = pattern | mask;
  for (value -= mask; value >= 0x80; value >>>= 7) out[at++] = (value & 0x7f) | 0x80;
  out[at] = value;
  return at + 1;
}
