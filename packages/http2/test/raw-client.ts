import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ErrorCode } from "../src/index.js";
import { FRAME_HEADER_BYTES, Flag, FrameType, PREFACE } from "../src/frame.js";

/** A frame that came back. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The bytes of one frame; a payload may be given in hexadecimal. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer | string = "",
): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload, "hex") : payload;
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  head.writeUIntBE(bytes.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}

/** Four bytes of a number. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block of literals without indexing (RFC 7541, section 6.2.2), for texts under 127 bytes. */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const text = (value: string) =>
    Buffer.concat([Buffer.from([value.length]), Buffer.from(value, "latin1")]);
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.alloc(1), text(name), text(value)]),
  );
}

/** The pseudo-header fields of a request. */
export function pseudoFields(path = "/echo"): [name: string, value: string][] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
  ];
}

/** HEADERS that open a stream and leave it open. */
export function open(stream: number, path?: string, ...more: [string, string][]): Buffer {
  const block = headerBlock([...pseudoFields(path), ...more]);
  return frame(FrameType.HEADERS, Flag.END_HEADERS, stream, block);
}

const PROBE = Buffer.from("answered");

/** A client that says in HTTP/2 whatever it is told to say, byte by byte. */
export class RawClient implements Disposable {
  /** What came back. */
  readonly frames: Frame[] = [];
  /** The connection is over. */
  readonly closed: Promise<unknown>;
  readonly socket: Socket;
  #rest = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => this.#read(bytes));
    this.closed = new Promise((resolve) => socket.once("close", resolve));
  }

  /** Connects and says nothing. */
  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new RawClient(socket);
  }

  /** Connects, and begins as every client does. */
  static async greet(port: number, settings: Buffer | string = ""): Promise<RawClient> {
    const client = await RawClient.connect(port);
    client.send(Buffer.from(PREFACE), frame(FrameType.SETTINGS, 0, 0, settings));
    return client;
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Sends, and waits until the server has read it all: it answers a PING, or ends the connection. */
  async ask(...frames: Buffer[]): Promise<void> {
    const answers = () => this.frames.filter(isAnswer).length;
    const before = answers();
    this.send(...frames, frame(FrameType.PING, 0, 0, PROBE));
    await this.until(() => answers() > before);
  }

  /** Waits until something is so, or the connection is over. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.socket.destroyed)
      await Promise.race([once(this.socket, "data"), this.closed]);
  }

  /** Why the server ended the connection, by its GOAWAY. */
  get goaway(): string | undefined {
    const found = this.frames.findLast(({ type }) => type === FrameType.GOAWAY);
    return found && ErrorCode[found.payload.readUInt32BE(4)];
  }

  /** Why the server reset a stream. */
  resetOf(stream: number): string | undefined {
    const found = this.frames.find(
      (seen) => seen.type === FrameType.RST_STREAM && seen.stream === stream,
    );
    return found && ErrorCode[found.payload.readUInt32BE(0)];
  }

  /** Bytes of DATA that came on a stream. */
  dataOf(stream: number): Buffer {
    const data = this.frames.filter(
      (seen) => seen.type === FrameType.DATA && seen.stream === stream,
    );
    return Buffer.concat(data.map(({ payload }) => payload));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      this.frames.push({
        type: this.#rest.readUInt8(3),
        flags: this.#rest.readUInt8(4),
        stream: this.#rest.readUInt32BE(5) & 0x7fff_ffff,
        payload: this.#rest.subarray(FRAME_HEADER_BYTES, end),
      });
      this.#rest = this.#rest.subarray(end);
    }
  }
}

function isAnswer({ type, flags, payload }: Frame): boolean {
  return type === FrameType.PING && (flags & Flag.ACK) !== 0 && payload.equals(PROBE);
}
