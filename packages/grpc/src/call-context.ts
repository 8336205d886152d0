import { AsyncLocalStorage } from "node:async_hooks";
import type { DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { Metadata } from "@grpc/grpc-js";
import type { Observer } from "rxjs";
import { toHeaders } from "./metadata.js";

const current = new AsyncLocalStorage<CallContext | undefined>();

/**
 * One incoming call, as handlers see it. It is Connect's `HandlerContext`, made to cost little:
 * headers, signal and values come into being when somebody asks for them.
 */
export class CallContext implements HandlerContext {
  readonly protocolName = "grpc";
  readonly requestMethod = "POST";
  /** Where Nest's pipeline waits for the end of the stream that the handler answered with. */
  openStream: Observer<unknown> | undefined;
  #controller: AbortController | undefined;
  #aborted: { reason: unknown } | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #values: ContextValues | undefined;
  #entered = false;

  /** `deadline` in milliseconds since the epoch; `Infinity` where there is none. */
  constructor(
    readonly method: DescMethod,
    readonly metadata: Metadata,
    readonly deadline: number,
    private readonly call: { getPeer(): string },
  ) {}

  /** Address that the call came from. */
  get peer(): string {
    return this.call.getPeer();
  }

  get service() {
    return this.method.parent;
  }

  get url() {
    return `grpc:///${this.method.parent.typeName}/${this.method.name}`;
  }

  /** Fires when the caller leaves, the deadline passes, the server drains, or the call has ended. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  /** Milliseconds that are left; `undefined` where there is no deadline. */
  timeoutMs = (): number | undefined =>
    this.deadline === Infinity ? undefined : Math.max(0, this.deadline - Date.now());

  get requestHeader() {
    return (this.#requestHeader ??= toHeaders(this.metadata));
  }

  get responseHeader() {
    return (this.#responseHeader ??= new Headers());
  }

  get responseTrailer() {
    return (this.#responseTrailer ??= new Headers());
  }

  get values() {
    return (this.#values ??= createContextValues());
  }

  /** Response headers, when a handler has set any. */
  get headersToSend() {
    return this.#responseHeader;
  }

  /** Response trailers, when a handler has set any. */
  get trailersToSend() {
    return this.#responseTrailer;
  }

  /** True for the first who asks: the handler that the call came in for. */
  enter(): boolean {
    return !this.#entered && (this.#entered = true);
  }

  /** Ends the call's work; the first reason stays. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }

  /** Runs work as part of this call: its clients inherit deadline, signal and identity. */
  run<T>(work: () => T): T {
    return current.run(this, work);
  }
}

/** The incoming call that the running code works for; `undefined` outside of any. */
export function currentCall(): CallContext | undefined {
  return current.getStore();
}

/**
 * Runs work that must outlive the incoming call: it inherits neither deadline nor cancellation.
 *
 * @example
 * const done = outliveCall(() => this.saga.run(checkout)); // goes on when the caller hangs up
 */
export function outliveCall<T>(work: () => T): T {
  return current.run(undefined, work);
}

/** What a handler's signal says when the caller left. */
export function cancelled(): ConnectError {
  return new ConnectError("The caller cancelled the call", Code.Canceled);
}

/** What a signal says when the time is over. */
export function deadlineExceeded(): ConnectError {
  return new ConnectError("Deadline exceeded", Code.DeadlineExceeded);
}
