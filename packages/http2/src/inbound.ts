import type { Http2Connection } from "./connection.js";
import { ConnectionError, ErrorCode } from "./error-code.js";
import { Flag, FrameType, MAX_WINDOW } from "./frame.js";
import { HeaderBlock } from "./header-block.js";
import { HeaderList } from "./header-list.js";
import { HpackDecoder } from "./hpack/decoder.js";
import { onPing, onPriority, onReset, onSettings, onWindowUpdate } from "./control-frames.js";
import type { Http2Stream } from "./stream.js";
import { broken, refuseStream, resetUnopened, wrongSize } from "./violations.js";

/**
 * What comes in on a connection, frame by frame (RFC 9113, section 6). Throws a ConnectionError for what
 * ends the connection; what is wrong with one stream resets that stream.
 */
export class Inbound {
  readonly #connection: Http2Connection;
  readonly #decoder = new HpackDecoder();
  /** A header block whose CONTINUATION frames must come next. */
  #block: HeaderBlock | undefined;
  #isGreeted = false;
  #unacknowledged = 0;

  constructor(connection: Http2Connection) {
    this.#connection = connection;
  }

  /** Takes one frame; false when the connection is over. */
  frame(
    buf: Buffer,
    start: number,
    end: number,
    type: number,
    flags: number,
    stream: number,
  ): boolean {
    if (
      this.#block !== undefined &&
      (type !== FrameType.CONTINUATION || this.#block.stream !== stream)
    )
      throw broken("A header block is interrupted");
    if (!this.#isGreeted && type !== FrameType.SETTINGS)
      throw broken("The preface is not followed by SETTINGS");
    switch (type) {
      case FrameType.DATA:
        this.#data(buf, start, end, flags, stream);
        break;
      case FrameType.HEADERS:
        this.#headers(buf, start, end, flags, stream);
        break;
      case FrameType.CONTINUATION:
        this.#continuation(buf, start, end, flags);
        break;
      case FrameType.RST_STREAM:
        onReset(this.#connection, end - start, stream);
        break;
      case FrameType.SETTINGS:
        this.#isGreeted = true;
        onSettings(this.#connection, buf, start, end, flags, stream);
        break;
      case FrameType.PING:
        onPing(this.#connection, buf, start, end, flags, stream);
        break;
      case FrameType.WINDOW_UPDATE:
        onWindowUpdate(this.#connection, buf, start, end, stream);
        break;
      case FrameType.PUSH_PROMISE:
        throw broken("A client pushes");
      case FrameType.GOAWAY:
        if (stream !== 0) throw broken("GOAWAY of a stream");
        if (end - start < 8) throw wrongSize();
        break;
      case FrameType.PRIORITY:
        onPriority(this.#connection, buf, start, end, stream);
        break;
      default:
        // Section 4.1: unknown types are ignored.
        this.#connection.meter.idleFrame();
    }
    return !this.#connection.isClosed;
  }

  /** Section 6.1. */
  #data(buf: Buffer, start: number, end: number, flags: number, id: number): void {
    const connection = this.#connection;
    const bytes = end - start;
    if (id === 0) throw broken("DATA of no stream");
    this.#acknowledge(bytes);
    const stream = connection.streams.get(id);
    if (flags & Flag.PADDED) {
      end = unpadded(buf, start, end);
      start++;
    }
    if (start === end && !(flags & Flag.END_STREAM)) connection.meter.idleFrame();
    if (stream === undefined) return this.#afterEnd(id, "DATA", (flags & Flag.END_STREAM) !== 0);
    if (stream.isRemoteClosed)
      return refuseStream(this.#connection, stream, ErrorCode.STREAM_CLOSED);
    if (!stream.take(bytes, end - start))
      return refuseStream(this.#connection, stream, ErrorCode.FLOW_CONTROL_ERROR);
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    if (!stream.hasContentLength(isEnd))
      return refuseStream(this.#connection, stream, ErrorCode.PROTOCOL_ERROR);
    if (isEnd) stream.isRemoteClosed = true;
    if (end > start) stream.onData(buf, start, end);
    if (isEnd) stream.onEnd();
  }

  /** Every byte is acknowledged as it comes: one stream that is not read must not hold up others. */
  #acknowledge(bytes: number): void {
    const connection = this.#connection;
    this.#unacknowledged += bytes;
    const { connectionWindowBytes } = connection.owner.limits;
    if (this.#unacknowledged > connectionWindowBytes)
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the window");
    if (this.#unacknowledged < connectionWindowBytes >> 1) return;
    connection.writer.numbers(FrameType.WINDOW_UPDATE, 0, 0, this.#unacknowledged);
    this.#unacknowledged = 0;
  }

  /** Section 6.2. */
  #headers(buf: Buffer, start: number, end: number, flags: number, id: number): void {
    if ((id & 1) === 0) throw broken("HEADERS of a stream that a client cannot open");
    if (flags & Flag.PADDED) {
      end = unpadded(buf, start, end);
      start++;
    }
    if (flags & Flag.PRIORITY) {
      if (end - start < 5) throw wrongSize();
      if ((buf.readUInt32BE(start) & MAX_WINDOW) === id) throw broken("A stream depends on itself");
      start += 5;
    }
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    if (flags & Flag.END_HEADERS) return this.#open(id, isEnd, buf, start, end);
    this.#block = new HeaderBlock(id, isEnd);
    this.#block.add(buf, start, end);
  }

  /** Section 6.10. */
  #continuation(buf: Buffer, start: number, end: number, flags: number): void {
    const block = this.#block;
    if (block === undefined) throw broken("CONTINUATION of no header block");
    block.add(buf, start, end);
    if (!(flags & Flag.END_HEADERS)) return;
    this.#block = undefined;
    const whole = block.whole();
    this.#open(block.stream, block.endStream, whole, 0, whole.length);
  }

  /** A header list is whole: it opens a stream, or is the trailers of one. */
  #open(id: number, isEnd: boolean, buf: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    const { limits } = connection.owner;
    const headers = new HeaderList(limits.maxHeaderListBytes);
    this.#decoder.decode(buf, start, end, headers);
    const known = connection.streams.get(id);
    if (known !== undefined) return this.#trailers(known, headers, isEnd);
    if (id <= connection.lastStream) {
      this.#afterEnd(id, "HEADERS", isEnd);
      if (!isEnd || !headers.isTrailers)
        resetUnopened(this.#connection, id, ErrorCode.PROTOCOL_ERROR, isEnd);
      return;
    }
    connection.lastStream = id;
    if (!headers.isRequest && !headers.isTooLarge) {
      connection.owner.onStreamRefused("protocol", "A request is malformed");
      return resetUnopened(this.#connection, id, ErrorCode.PROTOCOL_ERROR, isEnd);
    }
    const isFull = connection.streams.size >= limits.maxStreams;
    if (isFull) connection.owner.onStreamRefused("streams", "Too many streams");
    const refuses = isFull || connection.liveness.isDrainKnown;
    const stream = refuses ? undefined : connection.owner.createStream(connection, id, headers);
    if (stream === undefined)
      return resetUnopened(this.#connection, id, ErrorCode.REFUSED_STREAM, isEnd);
    connection.streams.set(id, stream);
    stream.isRemoteClosed = isEnd;
    if (isEnd && !stream.hasContentLength(true))
      return refuseStream(this.#connection, stream, ErrorCode.PROTOCOL_ERROR);
    stream.onRequest();
    if (isEnd && !stream.isClosed) stream.onEnd();
  }

  /** Section 8.1: gRPC's clients send none, but may. */
  #trailers(stream: Http2Stream, headers: HeaderList, isEnd: boolean): void {
    if (stream.isRemoteClosed)
      return refuseStream(this.#connection, stream, ErrorCode.STREAM_CLOSED);
    if (!isEnd || !headers.isTrailers || !stream.hasContentLength(true))
      return refuseStream(this.#connection, stream, ErrorCode.PROTOCOL_ERROR);
    stream.isRemoteClosed = true;
    stream.onEnd();
  }

  /** What comes of a stream that is over is dropped if this side ended it, and else is an error. */
  #afterEnd(id: number, what: string, isEnd: boolean): void {
    const { endedEarly, lastStream, meter } = this.#connection;
    if (id > lastStream) throw broken(`${what} of a stream that is not open`);
    if (!endedEarly.has(id))
      throw new ConnectionError(ErrorCode.STREAM_CLOSED, `${what} of a stream that is over`);
    if (isEnd) endedEarly.delete(id);
    meter.idleFrame();
  }
}

/** Section 6.1: a frame that is padded begins with the length of its padding. */
function unpadded(buf: Buffer, start: number, end: number): number {
  const padding = start < end ? buf[start]! : 0;
  if (padding >= end - start) throw broken("A frame has more padding than payload");
  return end - padding;
}
