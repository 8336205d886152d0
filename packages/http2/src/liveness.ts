import type { Http2Connection } from "./connection.js";
import { ConnectionError, ErrorCode } from "./error-code.js";
import { Flag, FrameType } from "./frame.js";

/** Payloads of our own PING frames. */
const KEEPALIVE = Buffer.from("alive?\0\0");
const DRAIN = Buffer.from("drained?");

/** How long the peer has to answer the PING of a drain, which tells what it sent before it knew. */
const DRAIN_PING_MS = 1_000;

/**
 * Whether the peer of a connection is there, and when the connection has lived long enough: preface,
 * keepalive, idle time, age, and the end of a drain. All by the monotonic clock, looked at once a second.
 */
export class Liveness {
  hasPreface = false;
  readonly #connection: Http2Connection;
  readonly #openedMs = performance.now();
  #hasRead = false;
  #lastReadMs = this.#openedMs;
  #lastStreamMs = this.#openedMs;
  #pingMs: number | undefined;
  #drainingMs: number | undefined;
  /** The peer knows of the drain: the second GOAWAY names the last stream that is served. */
  isDrainKnown = false;

  constructor(connection: Http2Connection) {
    this.#connection = connection;
  }

  onRead(): void {
    this.#hasRead = true;
  }

  beginDrain(nowMs: number): void {
    this.#drainingMs = nowMs;
    this.#connection.writer.bytes(FrameType.PING, 0, 0, DRAIN);
  }

  /** The last stream of a drain is over. */
  drained(): void {
    if (this.isDrainKnown) this.#connection.close();
  }

  onPingAck(payload: Buffer): void {
    if (payload.equals(KEEPALIVE)) this.#pingMs = undefined;
    else if (payload.equals(DRAIN)) this.#endDrain();
  }

  check(nowMs: number): void {
    const connection = this.#connection;
    const { limits } = connection.owner;
    if (connection.isClosed) return;
    if (this.#hasRead) this.#lastReadMs = nowMs;
    this.#hasRead = false;
    if (connection.streams.size > 0) this.#lastStreamMs = nowMs;
    if (!this.hasPreface && nowMs - this.#openedMs > limits.prefaceTimeoutMs) return this.#silent();
    if (this.#drainingMs !== undefined) {
      if (nowMs - this.#drainingMs > DRAIN_PING_MS) this.#endDrain();
      const graceMs = nowMs - this.#drainingMs;
      if (this.#isAged(this.#drainingMs) && graceMs > limits.maxAgeGraceMs) connection.close();
    } else if (this.#isAged(nowMs)) connection.drain(nowMs);
    else if (nowMs - this.#lastStreamMs > limits.maxIdleMs) connection.drain(nowMs);
    this.#keepAlive(nowMs, limits.keepaliveTimeMs, limits.keepaliveTimeoutMs);
  }

  #isAged(nowMs: number): boolean {
    return nowMs - this.#openedMs > this.#connection.owner.limits.maxAgeMs;
  }

  #keepAlive(nowMs: number, timeMs: number, timeoutMs: number): void {
    if (this.#pingMs !== undefined) {
      // Whatever was read meanwhile shows that the peer is there.
      if (this.#lastReadMs > this.#pingMs) this.#pingMs = undefined;
      else if (nowMs - this.#pingMs > timeoutMs) this.#silent();
    } else if (nowMs - this.#lastReadMs > timeMs) {
      this.#pingMs = nowMs;
      this.#connection.writer.bytes(FrameType.PING, 0, 0, KEEPALIVE);
    }
  }

  #endDrain(): void {
    if (this.isDrainKnown) return;
    this.isDrainKnown = true;
    const connection = this.#connection;
    const { writer, lastStream } = connection;
    if (connection.streams.size === 0) return connection.close();
    connection.lastServed = lastStream;
    writer.numbers(FrameType.GOAWAY, 0, 0, lastStream, ErrorCode.NO_ERROR);
  }

  #silent(): void {
    this.#connection.fail(new ConnectionError(ErrorCode.NO_ERROR, "The peer is silent", "silent"));
  }
}

/** The answer to a PING (RFC 9113, section 6.7). */
export function answerPing(connection: Http2Connection, payload: Buffer): void {
  connection.writer.bytes(FrameType.PING, Flag.ACK, 0, payload);
}
