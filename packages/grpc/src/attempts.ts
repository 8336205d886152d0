import type { DescMethod } from "@bufbuild/protobuf";
import type { Metadata, MetadataOptions } from "@grpc/grpc-js";
import { type Attributes, type Span, trace } from "@opentelemetry/api";
import { codeName } from "./observe.js";
import { policyOf } from "./policy.js";
import { clientSpan, endClientSpan } from "./tracing.js";

/** Why a call was sent: at first, again, to a second server as well, or again since no server saw it. */
export type AttemptKind = "first" | "retry" | "hedge" | "transparent";

/** One time that a call was put on a connection. */
export interface Attempt {
  readonly kind: AttemptKind;
  /** Address of the server, `host:port`. */
  readonly peer: string;
}

/** An attempt that is over; that of a hedge that lost is `CANCELLED`. */
export interface FinishedAttempt extends Attempt {
  /** Status code by its name in gRPC. */
  readonly code: string;
  readonly durationMs: number;
}

/** A call that this process makes. */
export interface ClientCall {
  readonly method: DescMethod;
  /** What the client was told to call, `dns:///orders:50051`. */
  readonly target: string;
}

/** A call that this process has made. */
export interface FinishedClientCall extends ClientCall {
  /** Status code by its name in gRPC. */
  readonly code: string;
  /** With all attempts, and the time between them. */
  readonly durationMs: number;
  /** How often it was sent, by kind; nothing at all where no server could be reached. */
  readonly attempts: Readonly<Partial<Record<AttemptKind, number>>>;
}

/**
 * Is told of every call that a client makes, and of every attempt. It must not throw, and should be
 * quick.
 *
 * @experimental
 * @example
 * createGrpcClient(OrderService, {
 *   address,
 *   observers: [{ attemptEnded: ({ method }, { kind, peer, code }) => log(method, kind, peer, code) }],
 * });
 */
export interface ClientObserver {
  attemptStarted?(call: ClientCall, attempt: Attempt): void;
  attemptEnded?(call: ClientCall, attempt: FinishedAttempt): void;
  callEnded?(call: FinishedClientCall): void;
}

/** gRFC A6: how often a call was sent before, not counting what no server saw. */
const PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts";

/**
 * grpc-js clones the metadata of a call for each attempt, and keeps the options as they are: they say
 * which call an attempt belongs to.
 */
const calls = new WeakMap<MetadataOptions, CallAttempts>();

/** The call that an attempt with this metadata belongs to; `undefined` where nobody wants to know. */
export function attemptsOf(metadata: Metadata): CallAttempts | undefined {
  return calls.get(metadata.getOptions());
}

/**
 * Counts the attempts of one call, and tells observers and its span of them; without an SDK, whatever
 * span is the current one.
 */
export class CallAttempts {
  #own: Span | undefined;
  #span: Span | undefined;
  readonly #counts: Partial<Record<AttemptKind, number>> = {};
  readonly #startedAt = performance.now();
  #previous = -1;
  #ended = false;

  constructor(
    private readonly call: ClientCall,
    private readonly observers: readonly ClientObserver[],
  ) {}

  /** From now on, attempts with this metadata, or with clones of it, are this call's. */
  follow(metadata: Metadata): void {
    this.#own = clientSpan(this.call, metadata);
    this.#span = this.#own ?? trace.getActiveSpan();
    if (this.observers.length > 0 || this.#span?.isRecording())
      calls.set(metadata.getOptions(), this);
  }

  /** Notes an attempt; the function it returns notes its end. */
  started(metadata: Metadata, peer: string): (status: number) => void {
    const attempt = { kind: this.#kindOf(metadata), peer };
    this.#counts[attempt.kind] = (this.#counts[attempt.kind] ?? 0) + 1;
    const startedAt = performance.now();
    this.#event("grpc.attempt.started", attempt);
    for (const observer of this.observers) observer.attemptStarted?.(this.call, attempt);
    return (status) => {
      const code = codeName(status || undefined);
      const finished = { ...attempt, code, durationMs: performance.now() - startedAt };
      this.#event("grpc.attempt.ended", attempt, { "rpc.response.status_code": code });
      for (const observer of this.observers) observer.attemptEnded?.(this.call, finished);
    };
  }

  /** The call is over. */
  ended(status: number): void {
    if (this.#ended) return;
    this.#ended = true;
    endClientSpan(this.#own, status || undefined);
    if (this.observers.length === 0) return;
    const finished = {
      ...this.call,
      code: codeName(status || undefined),
      durationMs: performance.now() - this.#startedAt,
      attempts: this.#counts,
    };
    for (const observer of this.observers) observer.callEnded?.(finished);
  }

  #kindOf(metadata: Metadata): AttemptKind {
    const previous = Number(metadata.get(PREVIOUS_ATTEMPTS)[0] ?? 0);
    const again = previous === this.#previous;
    this.#previous = previous;
    if (again) return "transparent";
    if (previous === 0) return "first";
    return policyOf(this.call.method).hedgingDelayMs === undefined ? "retry" : "hedge";
  }

  #event(name: string, { kind, peer }: Attempt, more?: Attributes): void {
    this.#span?.addEvent(name, {
      "rpc.method": policyOf(this.call.method).path.slice(1),
      "grpc.attempt.kind": kind,
      "network.peer.address": peer,
      ...more,
    });
  }
}
