import { ConnectionError, ErrorCode } from "../error-code.js";
import { HeaderField } from "./header-field.js";
import { decodeHuffman } from "./huffman.js";
import { staticTable } from "./static-table.js";

/** Takes the fields of a header list, in their order. */
export interface FieldSink {
  addField(field: HeaderField): void;
}

/** What SETTINGS_HEADER_TABLE_SIZE is while this side says nothing else. */
const MAX_TABLE_BYTES = 4096;

/** Integers of more bits are nothing that a header block of this size needs (RFC 7541, section 5.1). */
const MAX_SHIFT = 21;

/**
 * Decodes header blocks of one connection (RFC 7541). The dynamic table makes each block depend on
 * those before it, so every block must be decoded, also of a request that is refused. Throws a
 * ConnectionError with COMPRESSION_ERROR for what cannot be decoded.
 *
 * @example
 * const decoder = new HpackDecoder();
 * decoder.decode(block, 0, block.length, { addField: ({ name, value }) => fields.push([name, value]) });
 */
export class HpackDecoder {
  /** The newest entry is the last. */
  #entries: HeaderField[] = [];
  #size = 0;
  #maxSize = MAX_TABLE_BYTES;
  #buf: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** Decodes the block that stands from `start` to `end`. */
  decode(buf: Buffer, start: number, end: number, sink: FieldSink): void {
    this.#buf = buf;
    this.#at = start;
    this.#end = end;
    let hasFields = false;
    while (this.#at < end) {
      const byte = buf[this.#at]!;
      if ((byte & 0xe0) === 0x20) {
        // Section 4.2: a change of size comes first.
        if (hasFields) throw invalid("a table size update after a field");
        this.#resize(this.#integer(0x1f));
        continue;
      }
      hasFields = true;
      sink.addField(this.#field(byte));
    }
  }

  /** Section 6: indexed, literal with incremental indexing, or literal without. */
  #field(byte: number): HeaderField {
    if (byte & 0x80) return this.#entry(this.#integer(0x7f));
    const isIndexed = (byte & 0x40) !== 0;
    const index = this.#integer(isIndexed ? 0x3f : 0x0f);
    const name = index === 0 ? this.#text() : this.#entry(index).name;
    const field = new HeaderField(name, this.#text());
    if (isIndexed) this.#add(field);
    return field;
  }

  #entry(index: number): HeaderField {
    const { length } = staticTable;
    const field =
      index <= length
        ? staticTable[index - 1]
        : this.#entries[this.#entries.length + length - index];
    if (field === undefined) throw invalid("an index outside of the tables");
    return field;
  }

  #add(field: HeaderField): void {
    this.#entries.push(field);
    this.#size += field.size;
    if (this.#size > this.#maxSize) this.#evict();
  }

  #resize(maxSize: number): void {
    if (maxSize > MAX_TABLE_BYTES) throw invalid("a table larger than allowed");
    this.#maxSize = maxSize;
    this.#evict();
  }

  /** Section 4.4: the oldest go; a field larger than the table empties it. */
  #evict(): void {
    let count = 0;
    while (this.#size > this.#maxSize) this.#size -= this.#entries[count++]!.size;
    this.#entries.splice(0, count);
  }

  /** Section 5.1; `mask` has the bits of the prefix. */
  #integer(mask: number): number {
    let value = this.#buf[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (shift > MAX_SHIFT) throw invalid("an integer that is too large");
      if (this.#at >= this.#end) throw invalid("a block that is cut off");
      const byte = this.#buf[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** Section 5.2. */
  #text(): string {
    if (this.#at >= this.#end) throw invalid("a block that is cut off");
    const isHuffman = this.#buf[this.#at]! >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw invalid("a block that is cut off");
    return isHuffman
      ? decodeHuffman(this.#buf, start, this.#at)
      : this.#buf.toString("latin1", start, this.#at);
  }
}

function invalid(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.COMPRESSION_ERROR, `HPACK: ${what}`);
}
