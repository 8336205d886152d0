import { ConnectionError, ErrorCode } from "./error-code.js";

/** Frames that one header block may come in, and bytes that it may have (CVE-2024-27983 and its kin). */
const MAX_FRAMES = 16;
const MAX_BYTES = 64 * 1024;

/** A header block that comes in several frames (RFC 9113, section 4.3). */
export class HeaderBlock {
  readonly stream: number;
  readonly endStream: boolean;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(stream: number, endStream: boolean) {
    this.stream = stream;
    this.endStream = endStream;
  }

  /** Adds the fragment of one frame. Throws ENHANCE_YOUR_CALM for a block that does not end. */
  add(buf: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#parts.length === MAX_FRAMES || this.#bytes > MAX_BYTES)
      throw new ConnectionError(
        ErrorCode.ENHANCE_YOUR_CALM,
        "A header block does not end",
        "header_block",
      );
    this.#parts.push(Buffer.from(buf.subarray(start, end)));
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
