import { subscribe } from "node:diagnostics_channel";
import {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { type Connection, status } from "./connection.js";
import type { Refusal } from "./refusals.js";

/** What the door needs to know of the server behind it. */
export interface Behind {
  /** Longest that the method of a path works on one call, in milliseconds; absent where none is. */
  longestOf(path: string): number | undefined;
  now(): number;
  readonly maxMetadataBytes: number;
  refuse(cause: Refusal): void;
}

/** Milliseconds that a request may take beyond the time that its method has for the whole call. */
const SLACK_MS = 5_000;

const CONTENT_TYPES = /^application\/grpc(?:\+proto)?(?:;.*)?$/;
const ENCODINGS = new Set<unknown>([undefined, "identity", "gzip", "deflate"]);

const owner = Symbol("connection");
const known = new WeakMap<object, { connection: Connection; behind: Behind } | undefined>();

type Guarded = Socket & { [owner]?: { connection: Connection; behind: Behind } };

/**
 * Has the calls of a connection looked at before grpc-js gets them. Node tells of every stream on
 * its diagnostics channels, which is the one public place where grpc-js's streams can be seen.
 */
export function guard(connection: Connection, behind: Behind): void {
  (connection.socket as Guarded)[owner] = { connection, behind };
}

function ownerOf({ session }: ServerHttp2Stream) {
  if (!session) return undefined;
  if (!known.has(session))
    known.set(session, ((session as ServerHttp2Session).socket as Guarded)[owner]);
  return known.get(session);
}

subscribe("http2.server.stream.created", (message) => {
  const { stream, headers } = message as Opened;
  const owned = ownerOf(stream);
  if (!owned) return;
  const { connection, behind } = owned;
  const longest = behind.longestOf(String(headers[":path"]));
  if (!connection.open(stream, behind.now() + (longest ?? 0) + SLACK_MS)) {
    behind.refuse("calls_of_peer");
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
    return;
  }
  // grpc-js says by itself that a method is not there, and that a content type is another's.
  if (longest !== undefined) refuseIfWrong(stream, headers, behind);
});

subscribe("http2.server.stream.close", (message) => {
  const { stream } = message as Pick<Opened, "stream">;
  ownerOf(stream)?.connection.ended(stream);
});

interface Opened {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
}

function refuseIfWrong(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, behind: Behind) {
  const type = headers["content-type"] ?? "";
  if (!type.startsWith("application/grpc")) return;
  const answer =
    headers[":method"] !== "POST"
      ? { ":status": 405 }
      : !CONTENT_TYPES.test(type)
        ? { ":status": 415 }
        : !ENCODINGS.has(headers["grpc-encoding"])
          ? { ...status(12, "This encoding is not spoken here"), "grpc-accept-encoding": "gzip" }
          : sizeOf(headers) > behind.maxMetadataBytes
            ? status(8, "Too much metadata")
            : undefined;
  if (!answer) return;
  behind.refuse("grpc-status" in answer && answer["grpc-status"] === "8" ? "metadata" : "not_grpc");
  stream.respond(answer, { endStream: true });
  // grpc-js leaves a stream alone that is closed.
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** As HTTP/2 counts it (RFC 9113, section 6.5.2). */
function sizeOf(headers: IncomingHttpHeaders): number {
  let size = 0;
  for (const name in headers) {
    const value = headers[name];
    size += name.length + 32 + (value?.length ?? 0);
    if (Array.isArray(value)) for (const each of value) size += each.length;
  }
  return size;
}
