import type { Readable } from "node:stream";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { EngineReason } from "@emporium/contracts/options/v1";
import { cancelled } from "./call-context.js";
import { engineFailure } from "./failure.js";
import { type MethodPolicy, policyOf } from "./policy.js";
import { validateMessage } from "./validation.js";

/**
 * The messages that a caller streams, each validated, no more of them than the contract allows, and
 * no faster than they are read. A handler that stops reading, also by throwing, leaves the stream as
 * it is: `for await` over it would destroy it under the answer (grpc/grpc-node #1839), and cost more.
 */
export class IncomingMessages implements AsyncIterableIterator<Message> {
  readonly #policy: MethodPolicy;
  #count = 0;
  #closed = false;
  #ended = false;
  #waiting: PromiseWithResolvers<IteratorResult<Message, undefined>> | undefined;

  constructor(
    private readonly method: DescMethod,
    private readonly call: Readable,
  ) {
    this.#policy = policyOf(method);
    call.on("readable", () => this.#wake());
    // A caller who leaves ends the stream like one who has said all; which it was shows in the same
    // turn, when grpc-js has told of the cancellation.
    call.on("end", () =>
      setImmediate(() => {
        this.#ended = !this.#closed;
        this.#wake();
      }),
    );
    call.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    try {
      const message = this.call.read() as Message | null;
      if (message !== null) return Promise.resolve({ done: false, value: this.#checked(message) });
      if (this.#ended) return Promise.resolve({ done: true, value: undefined });
      if (this.#closed) return Promise.reject(cancelled());
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#waiting) return this.#waiting.promise.then(() => this.next());
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** A handler that reads no further leaves the rest with grpc-js, which drops it with the call. */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.#ended = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    if (this.call.readableLength === 0 && !this.#ended && !this.#closed) {
      // Nothing yet, or the end: reading tells the stream to go on to it.
      this.call.read(0);
      return;
    }
    this.#waiting = undefined;
    waiting.resolve(this.next());
  }

  #checked(message: Message): Message {
    const { maxRequests } = this.#policy;
    if (++this.#count > maxRequests) throw tooLong("requests", maxRequests);
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
