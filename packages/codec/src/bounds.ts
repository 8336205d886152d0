import type { DescField, DescMessage } from "@bufbuild/protobuf";

/** The most of one field that a decoder accepts. What is absent has no bound of its own. */
export interface FieldBounds {
  /** Items of a list, or entries of a map. */
  items?: number | undefined;
  /** Bytes of a string or bytes field, or of each item of a list of them. */
  bytes?: number | undefined;
}

/** What a decoder accepts of any message. */
export interface Bounds {
  /** The bounds of one field; asked once, when the decoder of its message is compiled. */
  of: (field: DescField) => FieldBounds;
  /** List items, map entries and unknown fields of one message, those of nested messages included. */
  elements: number;
}

/** A part of a message that is larger than its bound. */
export interface Excess {
  /** The field, by the names of the .proto file: `lines[2].options`; empty for the whole message. */
  path: string;
  field?: DescField | undefined;
  bound: "items" | "bytes" | "elements";
  limit: number;
}

/** Thrown by a bounded decoder at the byte where a message exceeds one of its bounds. */
export class BoundExceededError extends RangeError {
  override name = "BoundExceededError";

  readonly schema: DescMessage;
  readonly excess: Excess;

  constructor(schema: DescMessage, excess: Excess) {
    const { path, bound, limit } = excess;
    super(`${schema.typeName}${path && `.${path}`} has more than ${limit} ${bound}`);
    this.schema = schema;
    this.excess = excess;
  }
}
