import type { Socket } from "node:net";
import { FRAME_HEADER_BYTES } from "./frame.js";

const BUFFER_BYTES = 64 * 1024;

/** Above this many bytes that the socket could not send yet, DATA waits in its streams. */
const CONGESTED_BYTES = 256 * 1024;

const NOTHING = Buffer.alloc(0);

/** Buffers that were sent, to be filled again by any connection. */
const spare: Buffer[] = [];
const MAX_SPARE = 32;

/**
 * Collects the frames of a connection and sends those of one turn of the event loop in one write: most
 * of what a small call costs in Node is the way to the socket.
 */
export class FrameWriter {
  /** Frames go here, from `at` on, after `reserve`; a connection that says nothing holds no buffer. */
  out: Buffer = NOTHING;
  at = 0;
  readonly #socket: Socket;
  #isScheduled = false;
  /** Writes that the socket has not sent yet. */
  #unsent = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether the socket takes less than is written; "drain" of the socket ends it. */
  get isCongested(): boolean {
    return this.#socket.writableLength > CONGESTED_BYTES;
  }

  /** Bytes that are on their way to the socket or in it. */
  get pendingBytes(): number {
    return this.#socket.writableLength + this.at;
  }

  /** Makes room for a frame of so many bytes of payload, which is written before the next turn. */
  reserve(payloadBytes: number): void {
    const bytes = payloadBytes + FRAME_HEADER_BYTES;
    if (this.at + bytes > this.out.length) {
      this.flush();
      this.out =
        bytes > BUFFER_BYTES
          ? Buffer.allocUnsafeSlow(bytes)
          : (spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES));
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(endTurn, this);
  }

  /** Writes a frame's header (RFC 9113, section 4.1), for which `reserve` made room. */
  header(length: number, type: number, flags: number, stream: number): void {
    const { out } = this;
    let { at } = this;
    out[at++] = length >>> 16;
    out[at++] = length >>> 8;
    out[at++] = length;
    out[at++] = type;
    out[at++] = flags;
    out[at++] = stream >>> 24;
    out[at++] = stream >>> 16;
    out[at++] = stream >>> 8;
    out[at++] = stream;
    this.at = at;
  }

  /** Writes a whole frame whose payload is one or two numbers of 32 bits. */
  numbers(type: number, flags: number, stream: number, first: number, second?: number): void {
    const length = second === undefined ? 4 : 8;
    this.reserve(length);
    this.header(length, type, flags, stream);
    this.at = this.out.writeUInt32BE(first, this.at);
    if (second !== undefined) this.at = this.out.writeUInt32BE(second, this.at);
  }

  /** Writes a whole frame. */
  bytes(type: number, flags: number, stream: number, payload: Uint8Array): void {
    this.reserve(payload.length);
    this.header(payload.length, type, flags, stream);
    this.out.set(payload, this.at);
    this.at += payload.length;
  }

  /** Sends what is there now. */
  flush(): void {
    if (this.at === 0) return;
    const { out } = this;
    const bytes = out.subarray(0, this.at);
    this.at = 0;
    this.out = NOTHING;
    if (this.#socket.destroyed) return recycle(out);
    this.#unsent++;
    this.#socket.write(bytes, () => this.#onSent(out));
  }

  /** Sends what was collected in a turn of the event loop. */
  static endTurn(writer: FrameWriter): void {
    writer.#isScheduled = false;
    // To a peer that does not read, one large buffer must not go out for each small frame.
    if (writer.#unsent === 0) writer.flush();
  }

  #onSent(out: Buffer): void {
    recycle(out);
    this.#unsent--;
    if (this.#unsent === 0 && !this.#isScheduled) this.flush();
  }
}

function endTurn(writer: FrameWriter): void {
  FrameWriter.endTurn(writer);
}

function recycle(buffer: Buffer): void {
  if (buffer.length === BUFFER_BYTES && spare.length < MAX_SPARE) spare.push(buffer);
}
