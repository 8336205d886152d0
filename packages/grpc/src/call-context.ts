import { AsyncLocalStorage } from "node:async_hooks";
import type { PeerCertificate } from "node:tls";
import type { DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { Observer } from "rxjs";
import { toHeaders } from "./metadata.js";
import type { WireCall } from "./running-call.js";
import type { ReadableMetadata } from "./wire/request-metadata.js";

const current = new AsyncLocalStorage<CallContext | Outlived>();

/** Headers of the incoming call that go along with the calls made for it. */
const CARRIED = ["authorization", "traceparent", "tracestate"];

/** What is left of a call for work that outlives it: on whose behalf, and in which trace. */
class Outlived {
  constructor(readonly carried: ReadonlyMap<string, string>) {}
}

/**
 * One incoming call, as handlers see it. It is Connect's `HandlerContext`, made to cost little:
 * headers, signal and values come into being when somebody asks for them.
 */
export class CallContext implements HandlerContext {
  readonly protocolName = "grpc";
  readonly requestMethod = "POST";
  /** Whether the caller has the response headers. */
  headersSent = false;
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
    readonly metadata: ReadableMetadata,
    readonly deadline: number,
    private readonly call: Pick<WireCall, "getAuthContext" | "getPeer" | "resetStream">,
    private readonly running: { end(error: ConnectError): void },
  ) {}

  /** Address that the call came from. */
  get peer(): string {
    return this.call.getPeer();
  }

  /**
   * The caller's certificate, verified; `undefined` where the connection is not TLS. See
   * `serviceNameOf`.
   */
  get peerCertificate(): PeerCertificate | undefined {
    return this.call.getAuthContext().sslPeerCertificate;
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

  /** What a failure carries: the trailers, after the headers where no message has taken them along. */
  get trailersOfFailure() {
    const headers = this.headersSent ? undefined : this.#responseHeader;
    if (!headers || !this.#responseTrailer) return headers ?? this.#responseTrailer;
    return new Headers([...headers, ...this.#responseTrailer]);
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

  /** For tests: resets the stream beneath the call, as a broken server would. Nothing on `node:http2`. */
  resetStream(): void {
    this.call.resetStream?.();
  }

  /** Ends the call at once with this error, whatever its handler does; too late once it has ended. */
  end(error: ConnectError): void {
    this.running.end(error);
  }

  /** Runs work as part of this call: its clients inherit deadline, signal and identity. */
  run<T>(work: () => T): T {
    return current.run(this, work);
  }
}

/**
 * The incoming call that the running code works for; `undefined` outside of any.
 *
 * @example
 * log.info({ method: currentCall()?.method.name, peer: currentCall()?.peer });
 */
export function currentCall(): CallContext | undefined {
  const store = current.getStore();
  return store instanceof CallContext ? store : undefined;
}

/** Headers that calls made by the running code carry: the caller's token, and the trace. */
export function carriedHeaders(): ReadonlyMap<string, string> {
  const store = current.getStore();
  if (store instanceof Outlived) return store.carried;
  const carried = new Map<string, string>();
  for (const name of CARRIED) {
    const value = store?.metadata.get(name)[0];
    if (value !== undefined) carried.set(name, String(value));
  }
  return carried;
}

/**
 * Runs work that must outlive the incoming call: neither the call's deadline nor its cancellation
 * reaches it. It still acts for the call's caller, in the same trace: the calls that it makes carry
 * the same `authorization`, `traceparent` and `tracestate`. A token may expire meanwhile; an
 * interceptor of the client sees the header and may put a fresh one in its place.
 *
 * @example
 * const done = outliveCall(() => this.saga.run(checkout)); // goes on when the caller hangs up
 */
export function outliveCall<T>(work: () => T): T {
  return current.run(new Outlived(carriedHeaders()), work);
}

/** What a handler's signal says when the caller left. */
export function cancelled(): ConnectError {
  return new ConnectError("The caller cancelled the call", Code.Canceled);
}

/** What a signal says when the time is over. */
export function deadlineExceeded(): ConnectError {
  return new ConnectError("Deadline exceeded", Code.DeadlineExceeded);
}
