/** Bytes that all indexed fields together may take in a peer's table, as RFC 7541 (4.1) counts them. */
const MAX_INDEXED_BYTES = 1024;

let indexedBytes = 0;
let indexedFields = 0;

/** A field of a reply. Values are ASCII; whoever makes one has seen to that. */
export class ReplyField {
  readonly name: string;
  readonly value: string;
  /** Number among the fields that are kept in every peer's table; -1 for one that is not. */
  readonly tableId: number;

  constructor(name: string, value: string, tableId = -1) {
    this.name = name;
    this.value = value;
    this.tableId = tableId;
  }

  /** Most bytes that it takes in a header block. */
  get maxBytes(): number {
    return this.name.length + this.value.length + 12;
  }
}

/**
 * A field that most replies have: each connection sends it once, and one byte from then on. Made once
 * for each field, when a module is loaded. Throws a RangeError when there are too many for a table.
 *
 * @example
 * const OK = indexedField("grpc-status", "0");
 */
export function indexedField(name: string, value: string): ReplyField {
  indexedBytes += name.length + value.length + 32;
  if (indexedBytes > MAX_INDEXED_BYTES) throw new RangeError("too many indexed fields");
  return new ReplyField(name, value, indexedFields++);
}
