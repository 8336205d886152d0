import { ConnectionError, ErrorCode } from "./error-code.js";
import { FRAME_HEADER_BYTES, MAX_FRAME_BYTES, PREFACE } from "./frame.js";

/** Takes one frame, whose payload stands from `start` to `end`; returns false to be told no more. */
export type FrameHandler = (
  buf: Buffer,
  start: number,
  end: number,
  type: number,
  flags: number,
  stream: number,
) => boolean;

/**
 * Cuts what comes from a socket into frames (RFC 9113, section 4.1), after the preface. Nothing is copied
 * but a frame that did not come whole. Throws a ConnectionError for a wrong preface and for a frame that
 * is larger than allowed.
 */
export class FrameReader {
  readonly #onFrame: FrameHandler;
  #rest: Buffer | undefined;
  hasPreface = false;

  constructor(onFrame: FrameHandler) {
    this.#onFrame = onFrame;
  }

  read(chunk: Buffer): void {
    let buf = chunk;
    if (this.#rest !== undefined) {
      buf = Buffer.concat([this.#rest, chunk]);
      this.#rest = undefined;
    }
    let at = 0;
    if (!this.hasPreface) {
      const length = Math.min(buf.length, PREFACE.length);
      // One who speaks another protocol is told at the first byte that is wrong.
      if (buf.toString("latin1", 0, length) !== PREFACE.slice(0, length))
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "The preface is not one of HTTP/2");
      if (length < PREFACE.length) {
        this.#rest = buf;
        return;
      }
      this.hasPreface = true;
      at = length;
    }
    const total = buf.length;
    while (total - at >= FRAME_HEADER_BYTES) {
      const length = (buf[at]! << 16) | (buf[at + 1]! << 8) | buf[at + 2]!;
      if (length > MAX_FRAME_BYTES)
        throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "A frame is larger than allowed");
      if (total - at < FRAME_HEADER_BYTES + length) break;
      const stream = buf.readUInt32BE(at + 5) & 0x7fff_ffff;
      const start = at + FRAME_HEADER_BYTES;
      const goOn = this.#onFrame(buf, start, start + length, buf[at + 3]!, buf[at + 4]!, stream);
      if (!goOn) return;
      at = start + length;
    }
    // A few bytes must not hold all that came with them.
    if (at < total) this.#rest = at === 0 ? buf : Buffer.from(buf.subarray(at));
  }
}
