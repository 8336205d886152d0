import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import { RefusedRequest } from "./contract/request-decoder.js";
import { cancelled } from "./call-context.js";
import { engineFailure } from "./failure.js";
import { type MethodPolicy, policyOf } from "./policy.js";
import type { RunningCall, WireCall } from "./running-call.js";
import type { Begin } from "./serve.js";
import { validateMessage } from "./validation.js";
import type { ReadableMetadata } from "./wire/request-metadata.js";

/** Waits for the one request of a call, and that it was the only one. */
export class OneRequest {
  #metadata: ReadableMetadata | undefined;
  #request: Message | RefusedRequest | undefined;
  #running: RunningCall | undefined;

  constructor(
    private readonly call: WireCall,
    private readonly begin: Begin<Message>,
  ) {}

  onReceiveMetadata(metadata: ReadableMetadata): void {
    this.#metadata = metadata;
    this.call.startRead();
  }

  onReceiveMessage(message: Message | RefusedRequest): void {
    if (this.#request) return this.#refuse("more than one request");
    this.#request = message;
    this.call.startRead();
  }

  onReceiveHalfClose(): void {
    if (!this.#request) return this.#refuse("no request");
    this.#running = this.begin(this.call, this.#metadata!, this.#request);
  }

  onCancel(): void {
    this.#running?.leave();
  }

  /** gRPC, "Status codes and their use": a cardinality violation is UNIMPLEMENTED. */
  #refuse(what: string): void {
    const details = `The call has ${what}, and its method takes one`;
    this.call.sendStatus({ code: Code.Unimplemented as number, details, metadata: null });
  }
}

/**
 * The messages that a caller streams, each validated, no more of them than the contract allows, and
 * no faster than they are read: what was not asked for stays with HTTP/2, whose window then closes. A
 * handler that stops reading, also by throwing, leaves the stream as it is.
 */
export class IncomingMessages implements AsyncIterableIterator<Message> {
  readonly #policy: MethodPolicy;
  #count = 0;
  #cancelled = false;
  #ended = false;
  #running: RunningCall | undefined;
  /** A message that came while `next` asked for it. */
  #message: Message | RefusedRequest | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<Message, undefined>> | undefined;

  constructor(
    private readonly method: DescMethod,
    private readonly call: WireCall,
    private readonly begin: Begin<IncomingMessages>,
  ) {
    this.#policy = policyOf(method);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#waiting) return this.#waiting.promise.then(() => this.next());
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#cancelled) return Promise.reject(cancelled());
    this.call.startRead();
    const message = this.#message;
    if (message) {
      this.#message = undefined;
      try {
        return Promise.resolve({ done: false, value: this.#checked(message) });
      } catch (error) {
        return Promise.reject(error);
      }
    }
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** A handler that reads no further leaves the rest with grpc-js, which drops it with the call. */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.#ended = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  onReceiveMetadata(metadata: ReadableMetadata): void {
    this.#running = this.begin(this.call, metadata, this);
  }

  onReceiveMessage(message: Message | RefusedRequest): void {
    this.#message = message;
    this.#wake();
  }

  /**
   * A caller who leaves ends the stream like one who has said all; which it was shows in the same
   * turn, when grpc-js has told of the cancellation.
   */
  onReceiveHalfClose(): void {
    setImmediate(() => {
      this.#ended ||= !this.#cancelled;
      this.#wake();
    });
  }

  onCancel(): void {
    this.#cancelled = true;
    this.#running?.leave();
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = undefined;
    const message = this.#message;
    this.#message = undefined;
    if (!message) return waiting.resolve(this.next());
    try {
      waiting.resolve({ done: false, value: this.#checked(message) });
    } catch (error) {
      waiting.reject(error);
    }
  }

  #checked(message: Message | RefusedRequest): Message {
    const { maxRequests } = this.#policy;
    if (++this.#count > maxRequests) throw tooLong("requests", maxRequests);
    if (message instanceof RefusedRequest) throw message.error;
    validateMessage(this.method.input, message);
    return message;
  }
}

/** What a stream ends with that carries more than its contract allows. */
export function tooLong(what: "requests" | "responses", most: number) {
  const description = `at most ${most} ${what} in one call`;
  return engineFailure(EngineReason.STREAM_TOO_LONG, `The stream is too long: ${description}`, {
    violations: [{ subject: what, description }],
  });
}
