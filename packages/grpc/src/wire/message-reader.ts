/** Bytes before each message: a flag and the length (gRPC, PROTOCOL-HTTP2, "Length-Prefixed-Message"). */
export const PREFIX_BYTES = 5;

/** A message as it came, still compressed where `isCompressed`. */
export interface ReceivedMessage {
  bytes: Buffer;
  isCompressed: boolean;
}

/** Why no message can be read any more. */
export type FramingError = "flag" | "too_large";

const NOTHING = Buffer.alloc(0);

/**
 * Cuts the data of one direction of a call into messages. It keeps what came and was not asked for yet
 * in one buffer of its own, at most twice as large, however small the parts are that it came in.
 */
export class MessageReader {
  readonly #maxBytes: number;
  /** What is kept stands from `#start` to `#end`; what is behind is free. */
  #buf: Buffer = NOTHING;
  #start = 0;
  #end = 0;
  /** It is the buffer that was pushed last, and belongs to who pushed it. */
  #isBorrowed = false;
  /** Bytes that the next message has with its prefix, as far as that is known. */
  #needed = PREFIX_BYTES;

  /** `maxBytes` of one message. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  /** Takes what came. It is not copied before `keep`, which must be called while it still stands. */
  push(bytes: Buffer): void {
    if (this.bytes === 0) {
      this.#buf = bytes;
      this.#start = 0;
      this.#end = bytes.length;
      this.#isBorrowed = true;
      return;
    }
    const end = this.#end + bytes.length;
    if (this.#isBorrowed || end > this.#buf.length) this.#move(bytes.length);
    bytes.copy(this.#buf, this.#end);
    this.#end += bytes.length;
  }

  /** Copies what was pushed and is in no message yet: a few bytes must not hold all that came with them. */
  keep(): void {
    if (this.#isBorrowed && this.bytes > 0) this.#move(0);
  }

  /** The next message; `undefined` until all of it is there. */
  next(): ReceivedMessage | FramingError | undefined {
    if (this.bytes < this.#needed) return undefined;
    const start = this.#start;
    const flag = this.#buf[start]!;
    if (flag > 1) return "flag";
    const length = this.#buf.readUInt32BE(start + 1);
    if (length > this.#maxBytes) return "too_large";
    this.#needed = PREFIX_BYTES + length;
    if (this.bytes < this.#needed) return undefined;
    this.#start += this.#needed;
    const bytes = this.#buf.subarray(start + PREFIX_BYTES, this.#start);
    this.#needed = PREFIX_BYTES;
    if (this.bytes === 0) this.#buf = NOTHING;
    return { bytes, isCompressed: flag === 1 };
  }

  /** Moves what is kept into a new buffer with this much room; messages may refer to the old one. */
  #move(room: number): void {
    const length = this.bytes;
    const buf = Buffer.allocUnsafe(Math.max(length + room, this.#isBorrowed ? 0 : 2 * length));
    this.#buf.copy(buf, 0, this.#start, this.#end);
    this.#buf = buf;
    this.#start = 0;
    this.#end = length;
    this.#isBorrowed = false;
  }
}
