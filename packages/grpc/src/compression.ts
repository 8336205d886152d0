import { subscribe } from "node:diagnostics_channel";
import { constants, gzip, gzipSync } from "node:zlib";
import type { Metadata } from "@grpc/grpc-js";

/**
 * grpc-js servers never compress and hide `grpc-accept-encoding` from handlers. Node tells of each
 * HTTP/2 stream before grpc-js sees it, with the very object that grpc-js then reads: the header is
 * copied there under this name, and so arrives in the call's metadata.
 */
const ACCEPTED = "x-caller-accept-encoding";

/** Paths of the methods whose replies are worth compressing: for others nobody asks. */
const paths = new Set<string>();

subscribe("http2.server.stream.created", (message) => {
  const { headers } = message as { headers: Record<string, string | undefined> };
  if (!paths.has(headers[":path"]!)) return;
  headers[ACCEPTED] = headers["grpc-accept-encoding"];
  if (headers[ACCEPTED] === undefined) delete headers[ACCEPTED];
});

/** Makes `acceptsGzip` work for the calls of a method. */
export function mayCompress(path: string): void {
  paths.add(path);
}

/** Below this many bytes gzip's own frame and a network packet make compression a loss. */
const SMALLEST = 1024;

/** From this many bytes on the work is done in the thread pool. */
const LARGE = 32 * 1024;

/** Fast rather than small: a quarter of the time of level 6 for a tenth more bytes. */
const level = constants.Z_BEST_SPEED;

/** Whether the caller understands gzip; takes the note out of the metadata. */
export function acceptsGzip(metadata: Metadata): boolean {
  const [accepted] = metadata.get(ACCEPTED);
  metadata.remove(ACCEPTED);
  return typeof accepted === "string" && /(^|,)\s*gzip\s*(,|$)/.test(accepted);
}

/** What `responseSerialize` gives to grpc-js, which asks for nothing but these two of a Buffer. */
export interface Frame {
  readonly byteLength: number;
  copy(target: Uint8Array, offset: number): unknown;
}

/** A message that is compressed: it also sets the flag of the frame that grpc-js puts it in. */
class CompressedFrame implements Frame {
  constructor(private readonly bytes: Buffer) {}

  get byteLength() {
    return this.bytes.byteLength;
  }

  copy(target: Uint8Array, offset: number) {
    // gRPC over HTTP/2, "Length-Prefixed-Message": a flag byte, four bytes of length, the message.
    target[offset - 5] = 1;
    return this.bytes.copy(target, offset);
  }
}

/** The message as a frame, compressed where that pays; a promise only for large ones. */
export function compress(plain: Buffer): Frame | Promise<Frame> {
  if (plain.byteLength < SMALLEST) return plain;
  if (plain.byteLength < LARGE) return smaller(plain, gzipSync(plain, { level }));
  return new Promise((resolve, reject) =>
    gzip(plain, { level }, (error, packed) =>
      error ? reject(error) : resolve(smaller(plain, packed)),
    ),
  );
}

function smaller(plain: Buffer, packed: Buffer): Frame {
  // A copy, since zlib's own buffer takes 16 KiB however little is in it, for as long as it waits.
  return packed.byteLength < plain.byteLength ? new CompressedFrame(Buffer.from(packed)) : plain;
}
