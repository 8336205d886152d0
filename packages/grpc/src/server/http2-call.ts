import { TLSSocket } from "node:tls";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import { type Chunk, ErrorCode, Http2Stream, indexedField, ReplyField } from "@emporium/http2";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Frame } from "../compression.js";
import { RefusedRequest } from "../contract/request-decoder.js";
import { engineFailure } from "../failure.js";
import { hostAndPort } from "../listener.js";
import type { WireCall } from "../running-call.js";
import { ACCEPTED_ENCODINGS, decompress } from "../wire/inflate.js";
import { MessageReader, PREFIX_BYTES } from "../wire/message-reader.js";
import { RequestMetadata } from "../wire/request-metadata.js";

type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];
type Status = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

const STATUS_200 = indexedField(":status", "200");
const CONTENT_TYPE = indexedField("content-type", "application/grpc+proto");
const ACCEPT_ENCODING = indexedField("grpc-accept-encoding", ACCEPTED_ENCODINGS);
const GRPC_STATUS_OK = indexedField("grpc-status", "0");
const RESPONSE_HEADERS = [STATUS_200, CONTENT_TYPE, ACCEPT_ENCODING];
const TRAILERS_OK = [GRPC_STATUS_OK];

/** What a call needs of the server that it came to. */
export interface CallTarget {
  readonly deserialize: (bytes: Buffer) => Message | RefusedRequest;
  /** Begins the call; gives what hears of it. */
  readonly listen: (call: WireCall) => Listener;
  readonly maxMessageBytes: number;
  readonly maxReplyBytes: number;
}

/** One gRPC call on a stream of our own HTTP/2: framing, compression and status over HTTP/2's frames. */
export class Http2Call extends Http2Stream implements WireCall {
  target!: CallTarget;
  /** Milliseconds since the epoch; set before the call begins. */
  deadline = Infinity;
  /** When the request must be whole, by the monotonic clock. */
  requestDueMs = Infinity;
  #listener!: Listener;
  #reader!: MessageReader;
  #metadata: RequestMetadata | undefined;
  /** The handler has asked for a message that is not there yet. */
  #wantsMessage = false;
  #isInflating = false;
  /** No more can be read: the request ended, or its framing is broken. */
  #isAtEnd = false;
  #hasSentHeaders = false;
  /** Bytes of messages that came, and how many of them the peer may send again. */
  #received = 0;
  #released = 0;

  override onRequest(): void {
    this.#reader = new MessageReader(this.target.maxMessageBytes);
    const listener = this.target.listen(this);
    this.#listener = listener;
    listener.onReceiveMetadata(this.metadata as never);
  }

  override onData(buf: Buffer, start: number, end: number): void {
    if (this.isClosed) return;
    this.#received += end - start;
    this.#reader.push(buf.subarray(start, end));
    if (this.#wantsMessage && !this.#isInflating) this.#deliver();
    this.#reader.keep();
  }

  override onEnd(): void {
    if (this.#wantsMessage && !this.#isInflating) this.#deliver();
  }

  override onReset(): void {
    this.#listener?.onCancel();
  }

  // What the engine calls.

  get metadata(): RequestMetadata {
    return (this.#metadata ??= new RequestMetadata(this.headers.fields));
  }

  get acceptsGzip(): boolean {
    return /(^|,)\s*gzip\s*(,|$)/.test(this.headers.acceptEncoding);
  }

  startRead(): void {
    this.#wantsMessage = true;
    if (!this.#isInflating) this.#deliver();
  }

  sendMetadata(metadata: { toHttp2Headers(): Record<string, unknown> }): void {
    if (this.#hasSentHeaders) return;
    this.#hasSentHeaders = true;
    this.respond([...RESPONSE_HEADERS, ...fieldsOf(metadata)]);
  }

  sendMessage(frame: Frame, onSent: () => void): void {
    const { maxReplyBytes } = this.target;
    if (frame.byteLength > maxReplyBytes) {
      const details = `A reply has more than ${maxReplyBytes} bytes`;
      this.#listener.onCancel();
      return this.sendStatus({ code: Code.ResourceExhausted as number, details, metadata: null });
    }
    if (!this.#hasSentHeaders) {
      this.#hasSentHeaders = true;
      this.respond(RESPONSE_HEADERS);
    }
    this.write(new PrefixedFrame(frame), onSent);
  }

  sendStatus({ code, details, metadata }: Status): void {
    if (code === 0 && !metadata && this.#hasSentHeaders) return this.end(TRAILERS_OK);
    const fields = this.#hasSentHeaders ? [] : [STATUS_200, CONTENT_TYPE];
    fields.push(code === 0 ? GRPC_STATUS_OK : new ReplyField("grpc-status", String(code)));
    if (details) fields.push(new ReplyField("grpc-message", encodeURI(details.toWellFormed())));
    if (metadata) fields.push(...fieldsOf(metadata));
    this.#hasSentHeaders = true;
    this.end(fields);
  }

  resetStream(): void {
    this.reset(ErrorCode.INTERNAL_ERROR);
  }

  getPeer(): string {
    const { remoteAddress = "", remotePort = 0 } = this.connection.socket;
    return hostAndPort(remoteAddress, remotePort);
  }

  getDeadline(): number {
    return this.deadline;
  }

  getAuthContext() {
    const { socket } = this.connection;
    if (!(socket instanceof TLSSocket) || !socket.authorized) return {};
    return { transportSecurityType: "ssl", sslPeerCertificate: socket.getPeerCertificate() };
  }

  /** Gives the next message, or the end, to the handler that asked for it. */
  #deliver(): void {
    if (this.isClosed) return;
    if (this.#isAtEnd) return this.#halfClose();
    const message = this.#reader.next();
    if (message === undefined) {
      // The rest of a message larger than the window comes only if what is here no longer counts.
      if (!this.isRemoteClosed) return this.#releaseUpTo(this.#received);
      if (this.#reader.bytes > 0) return this.#refuse(malformed("A message is cut off"));
      this.#isAtEnd = true;
      return this.#halfClose();
    }
    this.#releaseUpTo(this.#received - this.#reader.bytes);
    if (message === "flag") return this.#refuse(malformed("A message's flag is neither 0 nor 1"));
    if (message === "too_large") return this.#refuse(tooLarge(this.target.maxMessageBytes));
    if (!message.isCompressed) return this.#decode(message.bytes);
    const { encoding } = this.headers;
    if (encoding === "" || encoding === "identity")
      return this.#refuse(malformed("A message is compressed, but the call names no encoding"));
    void this.#inflate(encoding, message.bytes);
  }

  #releaseUpTo(total: number): void {
    if (total <= this.#released) return;
    this.release(total - this.#released);
    this.#released = total;
  }

  async #inflate(encoding: string, bytes: Buffer): Promise<void> {
    const { maxMessageBytes } = this.target;
    this.#isInflating = true;
    let failure: ConnectError | undefined;
    const plain = await decompress(encoding, bytes, maxMessageBytes).catch(() => {
      failure = malformed(`A message is not ${encoding}`);
      return undefined;
    });
    this.#isInflating = false;
    if (this.isClosed) return;
    if (plain) this.#decode(plain);
    else this.#refuse(failure ?? tooLarge(maxMessageBytes));
  }

  #decode(bytes: Buffer): void {
    let message: Message | RefusedRequest;
    try {
      message = this.target.deserialize(bytes);
    } catch {
      return this.#refuse(malformed("A message cannot be parsed"));
    }
    this.#wantsMessage = false;
    this.#listener.onReceiveMessage(message);
  }

  /** The call fails with this when its handler reads on; nothing more is read. */
  #refuse(error: ConnectError): void {
    this.#isAtEnd = true;
    this.#wantsMessage = false;
    this.#listener.onReceiveMessage(new RefusedRequest(error));
  }

  #halfClose(): void {
    this.#wantsMessage = false;
    this.#listener.onReceiveHalfClose();
  }
}

/** A message with its prefix, written to where it is sent from. */
class PrefixedFrame implements Chunk {
  readonly byteLength: number;
  readonly #frame: Frame;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.byteLength = frame.byteLength + PREFIX_BYTES;
  }

  copyTo(target: Buffer, offset: number): void {
    target[offset] = 0;
    target.writeUInt32BE(this.#frame.byteLength, offset + 1);
    // A compressed frame sets the flag.
    this.#frame.copy(target, offset + PREFIX_BYTES);
  }
}

function fieldsOf(metadata: { toHttp2Headers(): Record<string, unknown> }): ReplyField[] {
  return Object.entries(metadata.toHttp2Headers()).flatMap(([name, value]) =>
    [value].flat().map((one) => new ReplyField(name, String(one))),
  );
}

function malformed(message: string): ConnectError {
  return engineFailure(EngineReason.INTERNAL, message);
}

function tooLarge(maxBytes: number): ConnectError {
  return new ConnectError(`A message has more than ${maxBytes} bytes`, Code.ResourceExhausted);
}
