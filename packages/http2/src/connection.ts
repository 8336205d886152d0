import type { Socket } from "node:net";
import { EndedStreams } from "./ended-streams.js";
import { ConnectionError, ErrorCode, type Violation } from "./error-code.js";
import { FloodMeter } from "./flood-meter.js";
import { DEFAULT_WINDOW, Flag, FrameType, MAX_FRAME_BYTES, Setting } from "./frame.js";
import { FrameReader } from "./frame-reader.js";
import { FrameWriter } from "./frame-writer.js";
import { HeaderList } from "./header-list.js";
import { HpackEncoder } from "./hpack/encoder.js";
import type { ReplyField } from "./hpack/reply-field.js";
import { Inbound } from "./inbound.js";
import type { Http2Limits } from "./limits.js";
import { Liveness } from "./liveness.js";
import type { Http2Stream } from "./stream.js";

/** What a connection needs of the server that it belongs to. */
export interface ConnectionOwner {
  readonly limits: Http2Limits;
  /** Makes the object that takes a request; `undefined` refuses the stream. */
  createStream(
    connection: Http2Connection,
    id: number,
    headers: HeaderList,
  ): Http2Stream | undefined;
  /** The connection was ended for this. */
  onConnectionFailed(violation: Violation, message: string): void;
  /** A stream was reset for this. */
  onStreamRefused(violation: Violation, message: string): void;
}

/** How long a peer has to close its side after GOAWAY. */
const CLOSE_MS = 500;

/** Preface, settings and the first header block take less. */
const MAX_BYTES_BEFORE_REQUEST = 64 * 1024;

/** Names any stream that is still to come: the first GOAWAY of a drain (RFC 9113, section 6.8). */
const LAST_STREAM = 0x7fff_ffff;

/**
 * One HTTP/2 connection of a client (RFC 9113), over a socket that TCP or TLS has made. It ends with the
 * socket, by `drain` or `close`, or with a GOAWAY when the peer breaks a rule or exceeds a limit. Call
 * `check` once a second.
 *
 * @example
 * const connection = new Http2Connection(socket, { limits, createStream, ...hooks });
 * setInterval(() => connection.check(performance.now()), 1_000);
 */
export class Http2Connection {
  readonly socket: Socket;
  readonly owner: ConnectionOwner;
  readonly writer: FrameWriter;
  readonly encoder = new HpackEncoder();
  readonly meter: FloodMeter;
  readonly streams = new Map<number, Http2Stream>();
  /** Streams that this side ended before their request did: what still comes of them is dropped. */
  readonly endedEarly: EndedStreams;
  readonly liveness: Liveness;
  /** What the peer allows each new stream; by its SETTINGS_INITIAL_WINDOW_SIZE. */
  initialSendWindow = DEFAULT_WINDOW;
  /** What the peer allows on the whole connection. */
  sendWindow = DEFAULT_WINDOW;
  /** Bytes of replies that wait. */
  waitingBytes = 0;
  lastStream = 0;
  /** The last stream that is served, once a GOAWAY has named it: no later one may name more. */
  lastServed = LAST_STREAM;
  isClosed = false;
  isDraining = false;
  readonly #waiting = new Set<Http2Stream>();
  #bytesBeforeRequest = 0;

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.socket = socket;
    this.owner = owner;
    const { limits } = owner;
    this.writer = new FrameWriter(socket);
    this.meter = new FloodMeter(limits);
    this.endedEarly = new EndedStreams(10 * limits.maxStreams);
    this.liveness = new Liveness(this);
    const inbound = new Inbound(this);
    const reader = new FrameReader((...frame) => inbound.frame(...frame));
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(reader, chunk));
    socket.on("drain", () => this.sendWaiting());
    socket.on("error", () => undefined);
    socket.once("end", () => socket.end());
    socket.once("close", () => this.#gone());
    this.#greet(limits);
  }

  /** Whether so many bytes of DATA can be sent now. */
  canSend(bytes: number): boolean {
    return bytes <= this.sendWindow && !this.writer.isCongested;
  }

  addWaiting(stream: Http2Stream, bytes: number): void {
    this.waitingBytes += bytes;
    this.#waiting.add(stream);
    this.#checkUnread(this.waitingBytes);
  }

  removeWaiting(stream: Http2Stream): void {
    this.#waiting.delete(stream);
  }

  /** Sends what waits, one frame of each stream in turn. */
  sendWaiting(): void {
    for (let hasSent = true; hasSent && this.#waiting.size > 0;) {
      hasSent = false;
      for (const stream of this.#waiting) if (stream.sendWaiting()) hasSent = true;
    }
  }

  /** Writes a header list as HEADERS and, where it is too long, CONTINUATION (section 6.10). */
  writeHeaders(stream: number, fields: readonly ReplyField[], flags: number): void {
    const { writer, encoder } = this;
    let maxBytes = 1;
    for (const field of fields) maxBytes += field.maxBytes;
    if (maxBytes > MAX_FRAME_BYTES) return this.#writeLongHeaders(stream, fields, flags, maxBytes);
    writer.reserve(maxBytes);
    const start = writer.at;
    writer.header(0, FrameType.HEADERS, flags | Flag.END_HEADERS, stream);
    const { out } = writer;
    let at = encoder.begin(out, writer.at);
    for (const field of fields) at = encoder.write(out, at, field);
    const length = at - writer.at;
    out[start + 1] = length >>> 8;
    out[start + 2] = length;
    writer.at = at;
  }

  /** Ends a stream on this side; its object is told only if the peer ended it. */
  closeStream(stream: Http2Stream): void {
    this.waitingBytes -= stream.drop();
    this.#waiting.delete(stream);
    this.streams.delete(stream.id);
    if (!stream.isRemoteClosed) this.endedEarly.add(stream.id);
    if (this.isDraining && this.streams.size === 0) this.liveness.drained();
  }

  /** Lets the streams that are open finish, takes no new ones, and closes (section 6.8). */
  drain(nowMs = performance.now()): void {
    if (this.isDraining || this.isClosed) return;
    this.isDraining = true;
    this.writer.numbers(FrameType.GOAWAY, 0, 0, LAST_STREAM, ErrorCode.NO_ERROR);
    this.liveness.beginDrain(nowMs);
  }

  /** Ends the connection now: GOAWAY, and whatever is open is over. */
  close(code: ErrorCode = ErrorCode.NO_ERROR): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const { socket, writer } = this;
    const last = Math.min(this.lastStream, this.lastServed);
    writer.numbers(FrameType.GOAWAY, 0, 0, last, code);
    writer.flush();
    socket.end();
    setTimeout(() => socket.destroy(), CLOSE_MS).unref();
    this.#endStreams();
  }

  /** Ends the connection for what its peer did. */
  fail(error: ConnectionError): void {
    if (this.isClosed) return;
    this.owner.onConnectionFailed(error.violation, error.message);
    this.close(error.code);
  }

  /** Looks at times and counts; `nowMs` by the monotonic clock. */
  check(nowMs: number): void {
    this.meter.nextSecond();
    this.liveness.check(nowMs);
  }

  #greet({ maxStreams, maxHeaderListBytes, connectionWindowBytes }: Http2Limits): void {
    const payload = Buffer.alloc(12);
    payload.writeUInt16BE(Setting.MAX_CONCURRENT_STREAMS, 0);
    payload.writeUInt32BE(maxStreams, 2);
    payload.writeUInt16BE(Setting.MAX_HEADER_LIST_SIZE, 6);
    payload.writeUInt32BE(maxHeaderListBytes, 8);
    this.writer.bytes(FrameType.SETTINGS, 0, 0, payload);
    const more = connectionWindowBytes - DEFAULT_WINDOW;
    if (more > 0) this.writer.numbers(FrameType.WINDOW_UPDATE, 0, 0, more);
  }

  #read(reader: FrameReader, chunk: Buffer): void {
    if (this.isClosed) return;
    this.liveness.onRead();
    try {
      reader.read(chunk);
      if (this.lastStream === 0) this.#countBeforeRequest(chunk.length);
      // Headers, answers to PING and the like do not wait for a window: only the socket holds them up.
      this.#checkUnread(this.writer.pendingBytes);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      // One who speaks no HTTP/2 at all understands no GOAWAY either.
      if (reader.hasPreface) return this.fail(error);
      this.owner.onConnectionFailed(error.violation, error.message);
      this.isClosed = true;
      this.socket.destroy();
    }
    this.liveness.hasPreface ||= reader.hasPreface;
  }

  #checkUnread(bytes: number): void {
    if (bytes <= this.owner.limits.maxUnreadBytes) return;
    this.fail(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "Replies are not read", "unread"));
  }

  #countBeforeRequest(bytes: number): void {
    this.#bytesBeforeRequest += bytes;
    if (this.#bytesBeforeRequest > MAX_BYTES_BEFORE_REQUEST)
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "No request comes", "no_request");
  }

  #writeLongHeaders(
    stream: number,
    fields: readonly ReplyField[],
    flags: number,
    maxBytes: number,
  ): void {
    const { writer, encoder } = this;
    const block = Buffer.allocUnsafe(maxBytes);
    let length = encoder.begin(block, 0);
    for (const field of fields) length = encoder.write(block, length, field);
    for (let at = 0; at < length; at += MAX_FRAME_BYTES) {
      const end = Math.min(at + MAX_FRAME_BYTES, length);
      const last = end === length ? Flag.END_HEADERS : 0;
      const type = at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
      writer.bytes(type, at === 0 ? flags | last : last, stream, block.subarray(at, end));
    }
  }

  #gone(): void {
    this.isClosed = true;
    this.#endStreams();
  }

  #endStreams(): void {
    const streams = [...this.streams.values()];
    this.streams.clear();
    this.#waiting.clear();
    this.waitingBytes = 0;
    for (const stream of streams) {
      stream.drop();
      stream.onReset();
    }
  }
}
