import type { Socket } from "node:net";
import {
  type ConnectionOwner,
  defaultHttp2Limits,
  type HeaderList,
  Http2Connection,
  type Http2Limits,
  ReplyField,
  type Violation,
} from "@emporium/http2";
import type { ServerLimits } from "../limits.js";
import { floods, type Refusal } from "../refusals.js";
import type { Registration } from "../serve.js";
import { ACCEPTED_ENCODINGS, isAcceptedEncoding } from "../wire/inflate.js";
import { timeoutMs } from "../wire/timeout.js";
import type { WireServerOptions } from "./grpc-js-wire-server.js";
import { type CallTarget, Http2Call } from "./http2-call.js";
import type { AcceptContext, AcceptedConnection, WireServer } from "./wire-server.js";

/** Milliseconds that a request may take beyond the time that its method has for the whole call. */
const SLACK_MS = 5_000;

const CONTENT_TYPES = /^application\/grpc(?:\+proto)?(?:;.*)?$/;

/** Timers hold no more; whoever waits longer may as well wait for ever. */
const MAX_TIMEOUT_MS = 0x7fff_ffff;

/** The engine's server on our own HTTP/2: it finds the method of a call by its path. */
export class Http2WireServer implements WireServer {
  readonly #options: WireServerOptions;
  readonly #limits: Http2Limits;
  readonly #targets = new Map<string, CallTarget>();

  constructor(options: WireServerOptions) {
    this.#options = options;
    this.#limits = toHttp2Limits(options.limits);
  }

  register({ path, deserialize, listen }: Registration): void {
    const { maxMessageBytes, maxReplyBytes } = this.#options.limits;
    this.#targets.set(path, { deserialize, listen, maxMessageBytes, maxReplyBytes });
  }

  accept(socket: Socket, { peer, refuse }: AcceptContext): AcceptedConnection {
    const owner: ConnectionOwner = {
      limits: this.#limits,
      createStream: (connection, id, headers) => {
        if (peer.calls >= this.#options.limits.maxCallsPerPeer) {
          refuse("calls_of_peer");
          return undefined;
        }
        return new ServerStream(connection, id, headers, { server: this, peer, refuse });
      },
      onConnectionFailed: (violation) => refuse(refusalOf(violation)),
      // One stream is no flood: only what ends its connection counts against the peer.
      onStreamRefused: (violation) => {
        const cause = refusalOf(violation);
        if (!floods.has(cause)) refuse(cause);
      },
    };
    const connection = new Http2Connection(socket, owner);
    return {
      check: () => {
        const nowMs = performance.now();
        connection.check(nowMs);
        for (const stream of connection.streams.values())
          if (stream instanceof ServerStream) stream.checkDue(nowMs);
      },
      drain: () => connection.drain(),
    };
  }

  shutdown(): void {}

  /** What takes a call with these headers, or the reply to one that cannot begin. */
  find(headers: HeaderList): CallTarget | readonly ReplyField[] {
    const { maxMetadataBytes } = this.#options.limits;
    if (
      !headers.contentType.startsWith("application/grpc") ||
      !CONTENT_TYPES.test(headers.contentType)
    )
      return [new ReplyField(":status", "415")];
    if (headers.method !== "POST") return [new ReplyField(":status", "405")];
    if (headers.isTooLarge || headers.size > maxMetadataBytes)
      return statusOf(8, `The metadata has more than ${maxMetadataBytes} bytes`);
    const target = this.#targets.get(headers.path);
    if (!target) return statusOf(12, "The server does not implement this method");
    if (!isAcceptedEncoding(headers.encoding))
      return [
        ...statusOf(12, "Unsupported grpc-encoding"),
        new ReplyField("grpc-accept-encoding", ACCEPTED_ENCODINGS),
      ];
    if (headers.timeout !== "" && timeoutMs(headers.timeout) === undefined)
      return statusOf(13, "Malformed grpc-timeout");
    return target;
  }

  /** Milliseconds that a request may take to be whole. */
  requestMs(path: string): number {
    return (this.#options.longestOf(path) ?? 0) + SLACK_MS;
  }
}

/** What a stream knows of where it came from. */
interface Origin {
  readonly server: Http2WireServer;
  readonly peer: { calls: number };
  readonly refuse: (cause: Refusal) => void;
}

/** A call, from the check of its headers to the count of its peer's calls. */
class ServerStream extends Http2Call {
  readonly #origin: Origin;
  #dueMs: number;

  constructor(connection: Http2Connection, id: number, headers: HeaderList, origin: Origin) {
    super(connection, id, headers);
    this.#origin = origin;
    origin.peer.calls++;
    this.#dueMs = performance.now() + origin.server.requestMs(headers.path);
  }

  override onRequest(): void {
    const { headers } = this;
    const found = this.#origin.server.find(headers);
    if (!("deserialize" in found)) {
      this.#origin.refuse(headers.isTooLarge || isTooMuch(found) ? "metadata" : "not_grpc");
      return this.end(found);
    }
    this.target = found;
    const timeout = timeoutMs(headers.timeout);
    if (timeout !== undefined) this.deadline = Date.now() + Math.min(timeout, MAX_TIMEOUT_MS);
    super.onRequest();
  }

  override onClosed(): void {
    this.#origin.peer.calls--;
  }

  /** Ends a call whose request did not become whole in the time that its method has. */
  checkDue(nowMs: number): void {
    if (this.isRemoteClosed || nowMs < this.#dueMs) return;
    this.#dueMs = Infinity;
    this.#origin.refuse("half_sent");
    this.onReset();
    this.sendStatus({ code: 4, details: "Deadline exceeded", metadata: null });
  }
}

function isTooMuch(reply: readonly ReplyField[]): boolean {
  return reply.some(({ name, value }) => name === "grpc-status" && value === "8");
}

/** A reply that is a status alone. */
function statusOf(code: number, message: string): ReplyField[] {
  return [
    new ReplyField(":status", "200"),
    new ReplyField("content-type", "application/grpc+proto"),
    new ReplyField("grpc-status", String(code)),
    new ReplyField("grpc-message", encodeURI(message)),
  ];
}

function toHttp2Limits(limits: ServerLimits): Http2Limits {
  return {
    ...defaultHttp2Limits,
    maxStreams: limits.maxConcurrentStreams,
    // Twice what a call may have, so that one with more gets an answer.
    maxHeaderListBytes: 2 * limits.maxMetadataBytes,
    connectionWindowBytes: limits.connectionWindowBytes,
    maxPingsPerSecond: limits.maxPingsPerSecond,
    maxSettingsPerSecond: limits.maxSettingsPerSecond,
    prefaceTimeoutMs: limits.handshakeTimeoutMs,
    keepaliveTimeMs: limits.keepaliveTimeMs,
    keepaliveTimeoutMs: limits.keepaliveTimeoutMs,
    maxIdleMs: limits.maxConnectionIdleMs,
    maxAgeMs: limits.maxConnectionAgeMs,
    maxAgeGraceMs: limits.maxConnectionAgeGraceMs,
  };
}

const refusals: Record<Violation, Refusal> = {
  protocol: "protocol",
  ping: "ping",
  settings: "settings",
  idle_frames: "idle_frames",
  resets: "protocol",
  header_block: "protocol",
  streams: "streams_of_connection",
  no_request: "no_call",
  unread: "unread",
  silent: "handshake",
};

function refusalOf(violation: Violation): Refusal {
  return refusals[violation];
}
