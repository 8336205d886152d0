import type { Http2Connection } from "./connection.js";
import { ErrorCode } from "./error-code.js";
import { DEFAULT_WINDOW, Flag, FrameType, MAX_FRAME_BYTES } from "./frame.js";
import type { HeaderList } from "./header-list.js";
import type { ReplyField } from "./hpack/reply-field.js";

/** Bytes that can be written to where they are sent from, so that they are copied once. */
export interface Chunk {
  readonly byteLength: number;
  copyTo(target: Buffer, offset: number): void;
}

/** A chunk, or what is left of it, that waits for the peer's window or for the socket. */
interface Waiting {
  readonly bytes: Buffer;
  at: number;
  readonly onSent: () => void;
}

/** A window is given back when this much of it was used: one small frame for many of DATA. */
const RELEASE_BYTES = DEFAULT_WINDOW >> 1;

/**
 * One request and its reply (RFC 9113, section 5). A server derives from it, so that a call is one
 * object: it is told what comes, says how much of that it has taken, and sends.
 */
export abstract class Http2Stream {
  readonly connection: Http2Connection;
  readonly id: number;
  readonly headers: HeaderList;
  /** Nothing more comes from the peer. */
  isRemoteClosed = false;
  /** Nothing more can be sent. */
  isClosed = false;
  /** Bytes that the peer lets this side send; below zero after a smaller SETTINGS_INITIAL_WINDOW_SIZE. */
  sendWindow: number;
  #receiveWindow = DEFAULT_WINDOW;
  #released = 0;
  #received = 0;
  #waiting: Waiting[] | undefined;
  #trailers: readonly ReplyField[] | undefined;

  constructor(connection: Http2Connection, id: number, headers: HeaderList) {
    this.connection = connection;
    this.id = id;
    this.headers = headers;
    this.sendWindow = connection.initialSendWindow;
  }

  /** The request has come; its data follows. */
  abstract onRequest(): void;
  /** Data stands from `start` to `end`, and only until this returns: what is kept must be copied. */
  abstract onData(buf: Buffer, start: number, end: number): void;
  /** The request is whole. */
  abstract onEnd(): void;
  /** The stream ended before its reply was sent: the peer reset it, or the connection is gone. */
  abstract onReset(): void;
  /** The stream is over, however it ended. */
  onClosed(): void {}

  /** Bytes that were received and are no longer kept; the peer may send as many more. */
  release(bytes: number): void {
    this.#released += bytes;
    if (this.#released < RELEASE_BYTES || this.isRemoteClosed || this.isClosed) return;
    this.connection.writer.numbers(FrameType.WINDOW_UPDATE, 0, this.id, this.#released);
    this.#receiveWindow += this.#released;
    this.#released = 0;
  }

  /** Sends the header list of the reply. */
  respond(fields: readonly ReplyField[]): void {
    if (!this.isClosed) this.connection.writeHeaders(this.id, fields, 0);
  }

  /** Sends data; `onSent` is called when it was written, which may be at once. */
  write(chunk: Chunk, onSent: () => void): void {
    if (this.isClosed) return;
    const { connection } = this;
    const { byteLength } = chunk;
    const canSend = this.#waiting === undefined && byteLength <= MAX_FRAME_BYTES;
    if (canSend && byteLength <= this.sendWindow && connection.canSend(byteLength)) {
      const { writer } = connection;
      writer.reserve(byteLength);
      writer.header(byteLength, FrameType.DATA, 0, this.id);
      chunk.copyTo(writer.out, writer.at);
      writer.at += byteLength;
      this.sendWindow -= byteLength;
      connection.sendWindow -= byteLength;
      onSent();
      return;
    }
    const bytes = Buffer.allocUnsafe(byteLength);
    chunk.copyTo(bytes, 0);
    (this.#waiting ??= []).push({ bytes, at: 0, onSent });
    connection.addWaiting(this, byteLength);
    while (this.sendWaiting());
  }

  /** Ends the reply with trailers, or with a header list alone where nothing was sent before. */
  end(trailers: readonly ReplyField[]): void {
    if (this.isClosed) return;
    if (this.#waiting !== undefined) {
      this.#trailers = trailers;
      return;
    }
    this.connection.writeHeaders(this.id, trailers, Flag.END_STREAM);
    // Section 8.1: the rest of the request is not wanted.
    if (!this.isRemoteClosed)
      this.connection.writer.numbers(FrameType.RST_STREAM, 0, this.id, ErrorCode.NO_ERROR);
    this.connection.closeStream(this);
  }

  /** Ends the stream at once. */
  reset(code: ErrorCode): void {
    if (this.isClosed) return;
    this.connection.writer.numbers(FrameType.RST_STREAM, 0, this.id, code);
    this.connection.closeStream(this);
  }

  /** Sends one frame of what waits. False when nothing can be sent now. */
  sendWaiting(): boolean {
    const { connection } = this;
    const first = this.#waiting?.[0];
    if (first === undefined) return false;
    const rest = first.bytes.length - first.at;
    const length = Math.min(rest, MAX_FRAME_BYTES, this.sendWindow, connection.sendWindow);
    if (length <= 0 || !connection.canSend(length)) return false;
    const end = first.at + length;
    connection.writer.bytes(FrameType.DATA, 0, this.id, first.bytes.subarray(first.at, end));
    first.at = end;
    this.sendWindow -= length;
    connection.sendWindow -= length;
    connection.waitingBytes -= length;
    if (end === first.bytes.length) this.#sent(first);
    return true;
  }

  #sent(first: Waiting): void {
    this.#waiting!.shift();
    if (this.#waiting!.length === 0) {
      this.#waiting = undefined;
      this.connection.removeWaiting(this);
      if (this.#trailers !== undefined) this.end(this.#trailers);
    }
    first.onSent();
  }

  /** For the connection: counts a DATA frame. False when it exceeds the window (section 6.9.1). */
  take(bytes: number, dataBytes: number): boolean {
    this.#receiveWindow -= bytes;
    this.#received += dataBytes;
    // Padding is never kept.
    if (bytes > dataBytes) this.release(bytes - dataBytes);
    return this.#receiveWindow >= 0;
  }

  /** For the connection: whether the request has as many bytes as it said (section 8.1.1). */
  hasContentLength(isWhole: boolean): boolean {
    const { contentLength } = this.headers;
    if (contentLength < 0) return true;
    return isWhole ? this.#received === contentLength : this.#received <= contentLength;
  }

  /** Bytes that wait for the peer's window or for the socket. */
  get waitingBytes(): number {
    return (this.#waiting ?? []).reduce((sum, { bytes, at }) => sum + bytes.length - at, 0);
  }

  /** For the connection: drops what waits; returns its bytes. */
  drop(): number {
    this.isClosed = true;
    const { waitingBytes } = this;
    this.#waiting = undefined;
    this.onClosed();
    return waitingBytes;
  }
}
