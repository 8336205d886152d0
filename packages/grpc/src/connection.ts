import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { ServerLimits } from "./limits.js";
import type { Refusal } from "./refusals.js";

/** Bytes that the frames of one call may take beside its messages: headers, prefixes, updates. */
const BYTES_OF_CALL = 2048;

/** Part of the bytes that a reader of large answers sends back, as WINDOW_UPDATE frames. */
const UPDATES = 0.05;

/** Bytes of a connection that has not made a call yet: preface, settings, the first headers. */
const BEFORE_FIRST_CALL = 64 * 1024;

/** Bytes of the preface that every HTTP/2 client begins with (RFC 9113, section 3.4). */
const PREFACE = 24;

/**
 * One connection, and what its peer does with it. nghttp2 answers single frames that are wrong; here
 * they are counted, so that a flood of right ones ends as well. Frames that carry nothing are seen by
 * their bytes: what was read and belongs to no call and no message.
 */
export class Connection {
  readonly #opened = Date.now();
  /** Streams that are open, and when the request must be over. */
  readonly #streams = new Map<ServerHttp2Stream, number>();
  #session: ServerHttp2Session | undefined;
  #second = { calls: 0, pings: 0, settings: 0, payload: 0 };
  #read = 0;
  #written = 0;
  #suspect = false;
  #closed = false;

  constructor(
    readonly socket: Socket,
    /** Calls of all connections that the peer has. */
    private readonly peer: { calls: number },
    private readonly limits: ServerLimits,
    private readonly refuse: (cause: Refusal) => void,
  ) {
    // What nghttp2 ends by itself reaches the socket as its error.
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      if (code?.startsWith("ERR_HTTP2")) this.close("protocol");
    });
    socket.once("close", () => {
      peer.calls -= this.#streams.size;
      this.#streams.clear();
    });
  }

  /**
   * A call has come in, whose request must be over by then (milliseconds since the epoch). False where
   * its peer has too many.
   */
  open(stream: ServerHttp2Stream, latest: number): boolean {
    if (!this.#session && stream.session) this.#watch(stream.session as ServerHttp2Session);
    this.#second.calls++;
    this.#streams.set(stream, latest);
    if (this.#suspect) this.#countPayload(stream);
    return ++this.peer.calls <= this.limits.maxCallsPerPeer;
  }

  /** A call is over, one way or the other. */
  ended(stream: ServerHttp2Stream): void {
    if (this.#streams.delete(stream)) this.peer.calls--;
  }

  /** Looks at it once a second; `now` is in milliseconds since the epoch. */
  look(now: number): void {
    for (const [stream, latest] of this.#streams) {
      if (stream.destroyed) this.ended(stream);
      else if (latest < now) this.#endHalfSent(stream);
    }
    const read = this.socket.bytesRead - this.#read;
    const written = this.socket.bytesWritten - this.#written;
    this.#read += read;
    this.#written += written;
    const idle =
      read - this.#second.payload - this.#second.calls * BYTES_OF_CALL - written * UPDATES;
    this.#second = { calls: 0, pings: 0, settings: 0, payload: 0 };
    if (!this.#session) this.#lookAtBeginner();
    else if (idle < this.limits.maxIdleBytesPerSecond) this.#suspect = false;
    else if (!this.#suspect) this.#suspectIt();
    // What was read and no handler has taken yet fits into the window.
    else if (idle >= this.limits.maxIdleBytesPerSecond + this.limits.connectionWindowBytes)
      this.close("idle_frames");
  }

  /** Ends it at once: GOAWAY where HTTP/2 is spoken. */
  close(cause: Refusal): void {
    if (this.#closed) return;
    this.#closed = true;
    this.refuse(cause);
    // Node takes a code alone as well, and says it in the GOAWAY; its types do not know.
    this.#session?.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM as never);
    if (!this.#session) this.socket.destroy();
  }

  #watch(session: ServerHttp2Session): void {
    this.#session = session;
    session.setLocalWindowSize(this.limits.connectionWindowBytes);
    session.on("ping", () => {
      if (++this.#second.pings > this.limits.maxPingsPerSecond) this.close("ping");
    });
    session.on("remoteSettings", () => {
      if (++this.#second.settings > this.limits.maxSettingsPerSecond) this.close("settings");
    });
  }

  #lookAtBeginner(): void {
    if (this.#read > BEFORE_FIRST_CALL) this.close("no_call");
    const late = Date.now() - this.#opened > this.limits.handshakeTimeoutMs;
    if (late && this.#read < PREFACE) this.close("handshake");
  }

  /** Much is read. For the next second its messages are counted: a large upload is no flood. */
  #suspectIt(): void {
    this.#suspect = true;
    for (const stream of this.#streams.keys()) this.#countPayload(stream);
  }

  #countPayload(stream: ServerHttp2Stream): void {
    stream.on("data", (bytes: Buffer) => (this.#second.payload += bytes.length));
  }

  #endHalfSent(stream: ServerHttp2Stream): void {
    this.#streams.set(stream, Infinity);
    this.refuse("half_sent");
    if (!stream.headersSent) stream.respond(status(4, "Deadline exceeded"), { endStream: true });
    stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** Headers of an answer that is a status alone. */
export function status(code: number, message: string) {
  return {
    ":status": 200,
    "content-type": "application/grpc",
    "grpc-status": String(code),
    "grpc-message": message,
  };
}
