import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type CallOptions, Metadata } from "@grpc/grpc-js";
import { CallAttempts, type ClientObserver } from "./attempts.js";
import { cancelled, carriedHeaders, currentCall, deadlineExceeded } from "./call-context.js";
import { toMetadata } from "./metadata.js";
import { policyOf } from "./policy.js";
import { fromStatus, isServiceError } from "./status.js";

type HeadersInit = ConstructorParameters<typeof Headers>[0];

/** Part of the incoming call's time that is kept for its own answer, in milliseconds. */
const MARGIN_MS = 10;

/** Longest time of Node's timers, less a day; grpc-js would end a call with more at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1 - 86_400_000;

/** What all calls of one client have in common. */
export interface ClientSettings {
  /** What the client was told to call. */
  readonly target: string;
  readonly waitForReady: boolean;
  readonly observers: readonly ClientObserver[];
}

/**
 * One call that this process makes, with everything that narrows it: the deadline is the minimum of
 * the caller's wish, the contract's default and what the incoming call has left; the signal fires
 * with any of the caller's and the incoming call's. Disposing it removes the listeners.
 */
export class OutgoingCall implements Disposable {
  readonly signal: AbortSignal;
  /** How often it was sent, and how it went. */
  readonly attempts: CallAttempts;
  readonly #deadline: number | undefined;
  readonly #incoming = currentCall();
  readonly #controller = new AbortController();
  readonly #sources: AbortSignal[];
  readonly #abort: () => void;
  #cancel: (() => void) | undefined;

  constructor(
    method: DescMethod,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    private readonly settings: ClientSettings,
  ) {
    this.signal = this.#controller.signal;
    this.#sources = [signal, this.#incoming?.signal].filter((source) => source !== undefined);
    this.#abort = () => this.#onAbort();
    const now = Date.now();
    const own = ownTimeoutMs(timeoutMs, policyOf(method).deadlineMs);
    const latest = Math.min(
      own === undefined ? Infinity : now + own,
      (this.#incoming?.deadline ?? Infinity) - MARGIN_MS,
    );
    this.#deadline = latest === Infinity ? undefined : latest;
    for (const source of this.#sources) if (source.aborted) throw abortError(source.reason);
    if (latest <= now) throw deadlineExceeded();
    for (const source of this.#sources) source.addEventListener("abort", this.#abort);
    this.attempts = new CallAttempts({ method, target: settings.target }, settings.observers);
  }

  /**
   * Headers of the request: what the caller gave, and what the incoming call carries. Interceptors
   * see them, and may put others in their place.
   */
  headers(given: HeadersInit | undefined): Headers {
    const headers = new Headers(given);
    for (const [name, value] of carriedHeaders()) if (!headers.has(name)) headers.set(name, value);
    return headers;
  }

  /** The headers as they are sent. */
  metadata(headers: Headers): Metadata {
    const { waitForReady } = this.settings;
    const metadata = toMetadata(headers, new Metadata({ waitForReady }));
    this.attempts.follow(metadata);
    return metadata;
  }

  /** Options for grpc-js. */
  options(): CallOptions {
    return this.#deadline === undefined ? {} : { deadline: this.#deadline };
  }

  /** What to do when the call is to be given up. */
  onAbort(cancel: () => void): void {
    this.#cancel = cancel;
    if (this.signal.aborted) cancel();
  }

  /** The error to throw for what grpc-js says: the abort that caused it, or the server's status. */
  failure(error: unknown, headers?: Headers): unknown {
    const source = this.#sources.find(({ aborted }) => aborted);
    if (isServiceError(error) && (error.code as number) === Code.Canceled) {
      if (source) return abortError(source.reason);
      // A server's clock may be the first to reach the deadline; it then resets the stream.
      if (Date.now() >= (this.#deadline ?? Infinity) - MARGIN_MS) return deadlineExceeded();
    }
    return isServiceError(error) ? fromStatus(error, headers) : error;
  }

  /** Gives the call up, if it was sent at all. */
  abandon(): void {
    this[Symbol.dispose]();
    this.#cancel?.();
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources) source.removeEventListener("abort", this.#abort);
  }

  #onAbort(): void {
    this.#controller.abort(this.#sources.find(({ aborted }) => aborted)?.reason);
    this.#cancel?.();
  }
}

/**
 * How long a call may take by its caller's wish, else by the contract. As in Connect, 0 and less switch
 * the contract's default off; what is no number wishes nothing, and nobody waits longer than a timer can.
 */
function ownTimeoutMs(wished: number | undefined, usual: number | undefined): number | undefined {
  if (wished === undefined || Number.isNaN(wished)) return usual;
  return wished <= 0 || wished > MAX_TIMEOUT_MS ? undefined : wished;
}

function abortError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") return deadlineExceeded();
  const error = cancelled();
  error.cause = reason;
  return error;
}
