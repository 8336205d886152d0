import { setImmediate } from "node:timers/promises";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  isMessage,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import type {
  ContextValues,
  Interceptor,
  StreamRequest,
  StreamResponse,
  Transport,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { createContextValues } from "@connectrpc/connect";
import { decode, encode } from "@emporium/codec";
import type * as grpc from "@grpc/grpc-js";
import { toHeaders } from "./metadata.js";
import { type ClientSettings, OutgoingCall } from "./outgoing-call.js";
import { policyOf } from "./policy.js";
import { isServiceError } from "./status.js";

type HeadersInit = ConstructorParameters<typeof Headers>[0];
type AnyFn = ReturnType<Interceptor>;
type AnyMessage = MessageInitShape<DescMessage>;

/** Connect's transport over a grpc-js channel. */
export class GrpcTransport implements Transport {
  constructor(
    private readonly channel: grpc.Client,
    private readonly interceptors: Interceptor[],
    private readonly settings: ClientSettings,
  ) {}

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    using call = new OutgoingCall(method, signal, timeoutMs, this.settings);
    const send = (request: UnaryRequest) => this.#sendUnary(request, call);
    const request = {
      ...requestParts(method, call, header, contextValues),
      stream: false,
      message: asMessage(method.input, input),
    } as UnaryRequest;
    return (await this.#layered(send as AnyFn)(request)) as UnaryResponse<I, O>;
  }

  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    const call = new OutgoingCall(method, signal, timeoutMs, this.settings);
    const send = (request: StreamRequest) => this.#openStream(request, call);
    const request = {
      ...requestParts(method, call, header, contextValues),
      stream: true,
      message: asMessages(method.input, input),
    } as StreamRequest;
    try {
      return (await this.#layered(send as AnyFn)(request)) as StreamResponse<I, O>;
    } catch (error) {
      call.abandon();
      throw error;
    }
  }

  #sendUnary(
    { method, message, header }: UnaryRequest,
    call: OutgoingCall,
  ): Promise<UnaryResponse> {
    return new Promise((resolve, reject) => {
      let headers: Headers | undefined;
      let trailers: Headers | undefined;
      const sent = this.channel.makeUnaryRequest(
        policyOf(method).path,
        writerOf(method),
        readerOf(method),
        message as Message,
        call.metadata(header),
        call.options(),
        (error, response) => {
          if (error) return reject(call.failure(error, headers));
          resolve({
            stream: false,
            service: method.parent,
            method,
            message: response as never,
            get header() {
              return (headers ??= new Headers());
            },
            get trailer() {
              return (trailers ??= new Headers());
            },
          });
        },
      );
      sent.on("metadata", (metadata) => (headers = toHeaders(metadata)));
      sent.on("status", ({ code, metadata }) => {
        trailers = toHeaders(metadata);
        call.attempts.ended(code);
      });
      call.onAbort(() => sent.cancel());
    });
  }

  async #openStream(
    { method, message, header }: StreamRequest,
    call: OutgoingCall,
  ): Promise<StreamResponse> {
    const sent = this.channel.makeBidiStreamRequest(
      policyOf(method).path,
      writerOf(method),
      readerOf(method),
      call.metadata(header),
      call.options(),
    );
    const headers = new Headers();
    const trailers = new Headers();
    sent.on("metadata", (metadata) => toHeaders(metadata).forEach((v, k) => headers.append(k, v)));
    sent.on("status", ({ code, metadata }) => {
      call.attempts.ended(code);
      toHeaders(metadata).forEach((v, k) => trailers.append(k, v));
      call[Symbol.dispose]();
    });
    // Kept for a reader that comes late; grpc-js tells it once, and crashes when nobody listens.
    let failure: unknown;
    sent.on("error", (error) => (failure ??= error));
    call.onAbort(() => sent.cancel());
    const sending = sendAll(sent, message as AsyncIterable<Message>);
    await new Promise<unknown>((resolve) => sent.once("metadata", resolve).once("status", resolve));
    return {
      stream: true,
      service: method.parent,
      method,
      header: headers,
      trailer: trailers,
      message: receiveAll(sent, sending, call, () => failure) as never,
    };
  }

  #layered(core: AnyFn): AnyFn {
    return this.interceptors.reduceRight((next, interceptor) => interceptor(next), core);
  }
}

/**
 * Messages that are written before others get a turn: grpc-js takes a megabyte for its retries before
 * it says that it is full, and a source that never waits would let no socket be read until then.
 */
const BURST = 64;

/** Writes what the caller gives, at the pace of the server. Resolves with the caller's own error. */
async function sendAll(
  sent: grpc.ClientDuplexStream<Message, Message>,
  messages: AsyncIterable<Message>,
): Promise<unknown> {
  const ended = new Promise<"ended">((resolve) => sent.once("status", () => resolve("ended")));
  const source = messages[Symbol.asyncIterator]();
  let open = true;
  void ended.then(() => {
    open = false;
    return source.return?.();
  });
  try {
    for (let written = 1; ; written++) {
      const { done, value } = await source.next();
      if (done || !open) break;
      if (!sent.write(value))
        await Promise.race([new Promise((drained) => sent.once("drain", drained)), ended]);
      if (written % BURST === 0) await setImmediate();
    }
  } catch (error) {
    sent.cancel();
    return error;
  }
  sent.end();
  return undefined;
}

/** Reads what the server sends, at the pace of the caller; leaving early cancels the call. */
async function* receiveAll(
  sent: grpc.ClientDuplexStream<Message, Message>,
  sending: Promise<unknown>,
  call: OutgoingCall,
  failure: () => unknown,
) {
  let complete = false;
  try {
    for await (const message of sent) yield message as Message;
    if (failure()) throw failure();
    complete = true;
  } catch (error) {
    complete = true;
    // Where the caller's own messages failed, that is known by now; where they only wait, it is not.
    const cancelled = isServiceError(error) && error.code === 1;
    const own = cancelled ? await Promise.race([sending, setImmediate()]) : undefined;
    throw own ?? call.failure(error);
  } finally {
    if (!complete) sent.cancel();
  }
}

function requestParts(
  method: DescMethod,
  call: OutgoingCall,
  header: HeadersInit | undefined,
  contextValues: ContextValues | undefined,
) {
  return {
    service: method.parent,
    method,
    requestMethod: "POST",
    url: policyOf(method).path,
    signal: call.signal,
    header: call.headers(header),
    contextValues: contextValues ?? createContextValues(),
  };
}

function asMessage(schema: DescMessage, value: AnyMessage): Message {
  return isMessage(value, schema) ? value : create(schema, value);
}

async function* asMessages(schema: DescMessage, values: AsyncIterable<AnyMessage>) {
  for await (const value of values) yield asMessage(schema, value);
}

const writerOf = (method: DescMethod) => (message: Message) => encode(method.input, message);

const readerOf = (method: DescMethod) => (bytes: Buffer) => decode(method.output, bytes);
