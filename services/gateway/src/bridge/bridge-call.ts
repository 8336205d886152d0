// One call over one WebSocket, with backpressure both ways.
import { once } from "node:events";
import type { DescMethodStreaming, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { statusJson } from "@emporium/transcoding";
import type { WebSocket } from "@fastify/websocket";
import { metadataOf } from "../upstream/metadata.js";
import type { ClientFrame, FrameFormat } from "./frames.js";

/** Bytes that may wait to be sent to the browser before no further response is read. */
const MAX_BUFFERED = 256 * 1024;

/** Frames that are kept before the socket is paused. */
const MAX_QUEUED = 1;

/** Carries a call from its first frame to its status. */
export class BridgeCall {
  readonly #queue: ClientFrame[] = [];
  readonly #leaving = new AbortController();
  #wake = Promise.withResolvers<void>();

  constructor(
    private readonly socket: WebSocket,
    private readonly method: DescMethodStreaming,
    private readonly format: FrameFormat,
  ) {
    socket.on("message", (data: Buffer, isBinary: boolean) => this.#receive(data, isBinary));
    socket.once("close", () => this.#leaving.abort());
  }

  /** Runs the call; `metadata` is that of the handshake. Never rejects. */
  async run(transport: Transport, metadata: Headers): Promise<void> {
    let trailers = new Headers();
    let error: ConnectError | undefined;
    try {
      trailers = await this.#forward(transport, metadata);
    } catch (caught) {
      error = ConnectError.from(caught);
      trailers = metadataOf(error.metadata);
    }
    if (this.socket.readyState !== this.socket.OPEN) return;
    const status = error ? statusJson(error) : { code: 0, message: "", details: [] };
    this.socket.send(this.format.status({ status, trailers: Object.fromEntries(trailers) }));
    this.socket.close(1000);
  }

  async #forward(transport: Transport, metadata: Headers): Promise<Headers> {
    const first = await this.#next();
    let timeoutMs: number | undefined;
    if (first?.kind === "headers") {
      const { "timeout-ms": timeout, ...headers } = first.headers;
      if (timeout !== undefined) timeoutMs = Number(timeout) || undefined;
      metadataOf(new Headers(headers)).forEach((value, name) => metadata.set(name, value));
    }
    const { method } = this;
    const { signal } = this.#leaving;
    const messages = this.#messages(first);
    const response = await transport.stream(method, signal, timeoutMs, metadata, messages);
    const headers = Object.fromEntries(metadataOf(response.header));
    this.socket.send(this.format.headers(headers));
    for await (const message of response.message) await this.#send(message);
    return metadataOf(response.trailer);
  }

  async *#messages(first: ClientFrame | undefined): AsyncGenerator<Message> {
    for (
      let frame = first?.kind === "headers" ? await this.#next() : first;
      frame && frame.kind !== "end";
      frame = await this.#next()
    ) {
      if (frame.kind === "headers") throw invalid("Headers come in the first frame");
      yield frame.message;
    }
  }

  async #send(message: Message): Promise<void> {
    this.socket.send(this.format.message(this.method, message));
    // Each frame's callback comes when its bytes have left; the first of them is looked at.
    while (this.socket.bufferedAmount > MAX_BUFFERED && !this.#leaving.signal.aborted)
      await Promise.race([this.#flushed(), once(this.#leaving.signal, "abort")]);
  }

  #flushed(): Promise<void> {
    return new Promise((resolve) => this.socket.ping(undefined, undefined, () => resolve()));
  }

  #receive(data: Buffer, isBinary: boolean): void {
    try {
      this.#queue.push(this.format.read(this.method, data, isBinary));
    } catch (error) {
      this.#leaving.abort(invalid((error as Error).message));
    }
    if (this.#queue.length > MAX_QUEUED) this.socket.pause();
    this.#wake.resolve();
  }

  /** The next frame; `undefined` when the client has left. */
  async #next(): Promise<ClientFrame | undefined> {
    const { signal } = this.#leaving;
    while (this.#queue.length === 0) {
      signal.throwIfAborted();
      const left = Promise.withResolvers<void>();
      const leave = () => left.resolve();
      signal.addEventListener("abort", leave);
      await Promise.race([this.#wake.promise, left.promise]);
      signal.removeEventListener("abort", leave);
      this.#wake = Promise.withResolvers();
    }
    const frame = this.#queue.shift();
    if (this.socket.isPaused) this.socket.resume();
    return frame;
  }
}

function invalid(message: string): ConnectError {
  return new ConnectError(message, Code.InvalidArgument);
}
