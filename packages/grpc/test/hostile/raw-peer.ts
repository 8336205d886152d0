import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";

/** Frame types and flags of HTTP/2 (RFC 9113, section 6). */
export const Type = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
  UNKNOWN: 0xaa,
} as const;
export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const;

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

/** The bytes of one frame. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without compression (RFC 7541, section 6.2.2), so that no test needs a table. */
export function headerBlock(headers: Record<string, string>): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([integer(bytes.length), bytes]);
  };
  return Buffer.concat(
    Object.entries(headers).map(([name, value]) =>
      Buffer.concat([Buffer.from([0]), text(name), text(value)]),
    ),
  );
}

/** A number as HPACK writes the length of a text (RFC 7541, section 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest > 127; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** Headers of a call of the trial service. */
export function callHeaders(method = "Ask", more: Record<string, string> = {}) {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": `/trial.v1.TrialService/${method}`,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  });
}

/** An empty gRPC message. */
export const emptyMessage = Buffer.alloc(5);

/** Four bytes of a number. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A peer that says in HTTP/2 whatever it is told to say, byte by byte. */
export class RawPeer implements Disposable {
  /** What came back. */
  readonly frames: Frame[] = [];
  /** The connection is over. */
  readonly closed: Promise<unknown>;
  #rest = Buffer.alloc(0);

  private constructor(readonly socket: Socket) {
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => this.#read(bytes));
    this.closed = new Promise((resolve) => socket.once("close", resolve));
  }

  /** Connects, and begins as every client does. */
  static async connect(address: string, localAddress = "127.0.0.1"): Promise<RawPeer> {
    const [host, port] = address.split(":");
    const socket = connect({ port: Number(port), host: host!, localAddress });
    await once(socket, "connect");
    const peer = new RawPeer(socket);
    peer.send(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(Type.SETTINGS, 0, 0));
    await peer.seen(({ type }) => type === Type.SETTINGS);
    peer.send(frame(Type.SETTINGS, Flag.ACK, 0));
    return peer;
  }

  send(...frames: Buffer[]): boolean {
    return !this.socket.destroyed && this.socket.write(Buffer.concat(frames));
  }

  /**
   * Sends over and over until the connection is over, as fast as it is taken, or, where it is paced,
   * as fast as something comes back.
   */
  async flood(make: (round: number) => Buffer, paced = false): Promise<void> {
    for (let round = 0; !this.socket.destroyed; round++) {
      const sent = this.send(make(round));
      if (paced || !sent) {
        const goesOn = new Promise((resolve) =>
          this.socket.once(paced ? "data" : "drain", resolve),
        );
        await Promise.race([goesOn, this.closed]);
      } else await setImmediate();
    }
  }

  /** Makes a call and has its answer. */
  async call(stream: number, method = "Ask"): Promise<void> {
    this.send(
      frame(Type.HEADERS, Flag.END_HEADERS, stream, callHeaders(method)),
      frame(Type.DATA, Flag.END_STREAM, stream, emptyMessage),
    );
    await this.seen((seen) => seen.stream === stream && (seen.flags & Flag.END_STREAM) > 0);
  }

  /** The first frame that fits, now or later; rejects when the connection is over before. */
  async seen(fits: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found) return found;
      if (this.socket.destroyed) throw new Error("The connection is over");
      await Promise.race([once(this.socket, "data"), this.closed]);
    }
  }

  /** The error code of the GOAWAY that came, if one did. */
  get goaway(): number | undefined {
    return this.frames.findLast(({ type }) => type === Type.GOAWAY)?.payload.readUInt32BE(4);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      this.frames.push({
        type: this.#rest.readUInt8(3),
        flags: this.#rest.readUInt8(4),
        stream: this.#rest.readUInt32BE(5) & 0x7fffffff,
        payload: this.#rest.subarray(9, end),
      });
      this.#rest = this.#rest.subarray(end);
    }
  }
}
