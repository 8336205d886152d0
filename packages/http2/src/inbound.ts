import type { Http2Connection } from "./connection.js";
import { ConnectionError, ErrorCode } from "./error-code.js";
import { Flag, FrameType, MAX_WINDOW, Setting } from "./frame.js";
import { HeaderBlock } from "./header-block.js";
import { HeaderList } from "./header-list.js";
import { HpackDecoder } from "./hpack/decoder.js";
import { answerPing } from "./liveness.js";
import type { Http2Stream } from "./stream.js";

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
        this.#reset(end - start, stream);
        break;
      case FrameType.SETTINGS:
        this.#settings(buf, start, end, flags, stream);
        break;
      case FrameType.PING:
        this.#ping(buf, start, end, flags, stream);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#windowUpdate(buf, start, end, stream);
        break;
      case FrameType.PUSH_PROMISE:
        throw broken("A client pushes");
      case FrameType.GOAWAY:
        if (stream !== 0) throw broken("GOAWAY of a stream");
        if (end - start < 8) throw wrongSize();
        break;
      case FrameType.PRIORITY:
        this.#priority(buf, start, end, stream);
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
    if (stream.isRemoteClosed) return this.#refuse(stream, ErrorCode.STREAM_CLOSED);
    if (!stream.take(bytes, end - start)) return this.#refuse(stream, ErrorCode.FLOW_CONTROL_ERROR);
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    if (!stream.hasContentLength(isEnd)) return this.#refuse(stream, ErrorCode.PROTOCOL_ERROR);
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
      if (!isEnd || !headers.isTrailers) this.#resetUnopened(id, ErrorCode.PROTOCOL_ERROR, isEnd);
      return;
    }
    connection.lastStream = id;
    if (!headers.isRequest && !headers.isTooLarge) {
      connection.owner.onStreamRefused("protocol", "A request is malformed");
      return this.#resetUnopened(id, ErrorCode.PROTOCOL_ERROR, isEnd);
    }
    const isFull = connection.streams.size >= limits.maxStreams;
    if (isFull) connection.owner.onStreamRefused("streams", "Too many streams");
    const refuses = isFull || connection.liveness.isDrainKnown;
    const stream = refuses ? undefined : connection.owner.createStream(connection, id, headers);
    if (stream === undefined) return this.#resetUnopened(id, ErrorCode.REFUSED_STREAM, isEnd);
    connection.streams.set(id, stream);
    stream.isRemoteClosed = isEnd;
    if (isEnd && !stream.hasContentLength(true))
      return this.#refuse(stream, ErrorCode.PROTOCOL_ERROR);
    stream.onRequest();
    if (isEnd && !stream.isClosed) stream.onEnd();
  }

  /** Section 8.1: gRPC's clients send none, but may. */
  #trailers(stream: Http2Stream, headers: HeaderList, isEnd: boolean): void {
    if (stream.isRemoteClosed) return this.#refuse(stream, ErrorCode.STREAM_CLOSED);
    if (!isEnd || !headers.isTrailers || !stream.hasContentLength(true))
      return this.#refuse(stream, ErrorCode.PROTOCOL_ERROR);
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

  /** Section 6.4. */
  #reset(length: number, id: number): void {
    const connection = this.#connection;
    if (id === 0 || id > connection.lastStream)
      throw broken("RST_STREAM of a stream that is not open");
    if (length !== 4) throw wrongSize();
    connection.meter.reset();
    connection.endedEarly.delete(id);
    const stream = connection.streams.get(id);
    if (stream === undefined) return;
    stream.isRemoteClosed = true;
    connection.closeStream(stream);
    stream.onReset();
  }

  /** Section 6.5. */
  #settings(buf: Buffer, start: number, end: number, flags: number, id: number): void {
    const connection = this.#connection;
    this.#isGreeted = true;
    if (id !== 0) throw broken("SETTINGS of a stream");
    if (flags & Flag.ACK) {
      if (start !== end) throw wrongSize();
      return connection.meter.settings();
    }
    if ((end - start) % 6 !== 0) throw wrongSize();
    connection.meter.settings();
    for (let at = start; at < end; at += 6)
      this.#setting(buf.readUInt16BE(at), buf.readUInt32BE(at + 2));
    connection.writer.bytes(FrameType.SETTINGS, Flag.ACK, 0, new Uint8Array(0));
    connection.sendWaiting();
  }

  #setting(identifier: number, value: number): void {
    const connection = this.#connection;
    switch (identifier) {
      case Setting.HEADER_TABLE_SIZE:
        return connection.encoder.setMaxTableSize(value);
      case Setting.ENABLE_PUSH:
        if (value > 1) throw broken("ENABLE_PUSH is neither 0 nor 1");
        return;
      case Setting.MAX_FRAME_SIZE:
        if (value < 16_384 || value > 16_777_215) throw broken("MAX_FRAME_SIZE is out of range");
        return;
      case Setting.INITIAL_WINDOW_SIZE: {
        // Section 6.9.2: it changes the windows of streams that are open.
        if (value > MAX_WINDOW) throw windowTooLarge();
        const change = value - connection.initialSendWindow;
        connection.initialSendWindow = value;
        for (const stream of connection.streams.values()) {
          stream.sendWindow += change;
          if (stream.sendWindow > MAX_WINDOW) throw windowTooLarge();
        }
        return;
      }
      default:
    }
  }

  /** Section 6.7. */
  #ping(buf: Buffer, start: number, end: number, flags: number, id: number): void {
    const connection = this.#connection;
    if (id !== 0) throw broken("PING of a stream");
    if (end - start !== 8) throw wrongSize();
    connection.meter.ping();
    const payload = buf.subarray(start, end);
    if (flags & Flag.ACK) connection.liveness.onPingAck(payload);
    else answerPing(connection, payload);
  }

  /** Section 6.9. */
  #windowUpdate(buf: Buffer, start: number, end: number, id: number): void {
    const connection = this.#connection;
    if (end - start !== 4) throw wrongSize();
    const change = buf.readUInt32BE(start) & MAX_WINDOW;
    connection.meter.idleFrame();
    if (id === 0) {
      if (change === 0) throw broken("WINDOW_UPDATE by 0");
      connection.sendWindow += change;
      if (connection.sendWindow > MAX_WINDOW) throw windowTooLarge();
      return connection.sendWaiting();
    }
    if (id > connection.lastStream) throw broken("WINDOW_UPDATE of a stream that is not open");
    const stream = connection.streams.get(id);
    if (stream === undefined) {
      if (change === 0) this.#resetUnopened(id, ErrorCode.PROTOCOL_ERROR, true);
      return;
    }
    if (change === 0) return this.#refuse(stream, ErrorCode.PROTOCOL_ERROR);
    stream.sendWindow += change;
    if (stream.sendWindow > MAX_WINDOW) return this.#refuse(stream, ErrorCode.FLOW_CONTROL_ERROR);
    while (stream.sendWaiting());
  }

  /** Section 5.3.2: priorities are deprecated; only their form is checked. */
  #priority(buf: Buffer, start: number, end: number, id: number): void {
    if (id === 0) throw broken("PRIORITY of no stream");
    this.#connection.meter.idleFrame();
    if (end - start === 5 && (buf.readUInt32BE(start) & MAX_WINDOW) !== id) return;
    const code = end - start === 5 ? ErrorCode.PROTOCOL_ERROR : ErrorCode.FRAME_SIZE_ERROR;
    const stream = this.#connection.streams.get(id);
    if (stream !== undefined) this.#refuse(stream, code);
    else this.#resetUnopened(id, code, true);
  }

  /** Resets a stream for what its peer did, and tells the stream. */
  #refuse(stream: Http2Stream, code: ErrorCode): void {
    this.#connection.meter.reset();
    this.#connection.owner.onStreamRefused("protocol", `A stream is reset: ${ErrorCode[code]}`);
    stream.reset(code);
    stream.onReset();
  }

  #resetUnopened(id: number, code: ErrorCode, isEnd: boolean): void {
    const { meter, writer, endedEarly } = this.#connection;
    meter.reset();
    if (!isEnd) endedEarly.add(id);
    writer.numbers(FrameType.RST_STREAM, 0, id, code);
  }
}

/** Section 6.1: a frame that is padded begins with the length of its padding. */
function unpadded(buf: Buffer, start: number, end: number): number {
  const padding = start < end ? buf[start]! : 0;
  if (padding >= end - start) throw broken("A frame has more padding than payload");
  return end - padding;
}

function broken(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
}

function wrongSize(): ConnectionError {
  return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "A frame has the wrong size");
}

function windowTooLarge(): ConnectionError {
  return new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "A window is too large");
}
