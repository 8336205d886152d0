/** Bytes before each message: a flag and the length (gRPC, PROTOCOL-HTTP2, "Length-Prefixed-Message"). */
export const PREFIX_BYTES = 5;

/** A message as it came, still compressed where `isCompressed`. */
export interface ReceivedMessage {
  bytes: Buffer;
  isCompressed: boolean;
}

/** Why no message can be read any more. */
export type FramingError = "flag" | "too_large";

/**
 * Cuts the data of one direction of a call into messages. It keeps what came and was not asked for yet,
 * and joins the parts of a message once, when the last is there.
 */
export class MessageReader {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Bytes that the next message has with its prefix, as far as that is known. */
  #needed = PREFIX_BYTES;

  /** `maxBytes` of one message. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
  }

  /** The next message; `undefined` until all of it is there. */
  next(): ReceivedMessage | FramingError | undefined {
    if (this.#bytes < this.#needed) return undefined;
    let whole = this.#join();
    const flag = whole[0]!;
    if (flag > 1) return "flag";
    const length = whole.readUInt32BE(1);
    if (length > this.#maxBytes) return "too_large";
    this.#needed = PREFIX_BYTES + length;
    if (this.#bytes < this.#needed) return undefined;
    const bytes = whole.subarray(PREFIX_BYTES, this.#needed);
    whole = whole.subarray(this.#needed);
    this.#parts = whole.length > 0 ? [whole] : [];
    this.#bytes = whole.length;
    this.#needed = PREFIX_BYTES;
    return { bytes, isCompressed: flag === 1 };
  }

  #join(): Buffer {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts, this.#bytes)];
    return this.#parts[0]!;
  }
}
