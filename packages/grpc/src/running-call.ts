import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import type * as grpc from "@grpc/grpc-js";
import { type Context, context, trace } from "@opentelemetry/api";
import { CallContext, cancelled, deadlineExceeded } from "./call-context.js";
import { acceptsGzip } from "./compression.js";
import { deprecationOf, warn } from "./deprecation.js";
import type { EngineClock } from "./engine-clock.js";
import { type AwayCheck, type ErrorLog, logSafely, toConnectError } from "./exceptions.js";
import { engineFailure } from "./failure.js";
import { toSendableMetadata } from "./metadata.js";
import { type CallObserver, codeName } from "./observe.js";
import { policyOf } from "./policy.js";
import { toStatus } from "./status.js";
import type { ReadableMetadata } from "./wire/request-metadata.js";
import { endServerSpan, serverTrace } from "./tracing.js";

/** A call as grpc-js hands it to server interceptors, beneath its streams and events. */
export type WireCall = Pick<
  grpc.ServerInterceptingCallInterface,
  | "startRead"
  | "sendMetadata"
  | "sendMessage"
  | "sendStatus"
  | "getPeer"
  | "getDeadline"
  | "getAuthContext"
> & {
  /** Whether the caller understands gzip, where that is not hidden in the metadata. */
  readonly acceptsGzip?: boolean;
  resetStream?(): void;
};

/** What a call needs of the server around it. */
export interface CallSurroundings {
  readonly log: ErrorLog;
  readonly isAway?: AwayCheck | undefined;
  readonly clock: EngineClock;
  readonly observers: readonly CallObserver[];
  /** Whether calls have a span, where the process has an SDK. */
  readonly traced: boolean;
  /** Told of every call of a deprecated method. */
  readonly onDeprecated?: (method: DescMethod, call: CallContext) => void;
  /** Calls that are under way, so that a drain can find them. */
  readonly calls: RunningCalls;
}

/** Most bytes of headers or trailers that a handler sends, as HTTP/2 counts them. */
const MAX_METADATA_BYTES = 8 * 1024;

/** What a signal says after an answer was sent; one for all, since nobody should be listening. */
const answered = new ConnectError("The call has ended", Code.Canceled);

/** A call that is under way: its clocks, and its one end, whichever comes first. */
export class RunningCall {
  readonly context: CallContext;
  /** Whether messages to the caller may be compressed. */
  readonly gzip: boolean;
  finished = false;
  /** Told once when the call ends, however it does. */
  onFinish: (() => void) | undefined;
  /** When the contract's `longest` or the caller's own deadline is over, whichever comes first. */
  readonly expires: number;
  /** The caller's own deadline. */
  readonly #deadline: number;
  #started = performance.now();
  /** With the span of this call; nothing without an SDK. */
  readonly #trace: Context | undefined;

  constructor(
    method: DescMethod,
    readonly call: WireCall,
    metadata: ReadableMetadata,
    private readonly server: CallSurroundings,
    /** Whether the caller waits for one answer, and so for the handler's end. */
    readonly awaitsAnswer: boolean,
  ) {
    const { longestMs, gzip } = policyOf(method);
    this.#deadline = Number(call.getDeadline());
    const latest = server.clock.now() + longestMs;
    this.expires = Math.min(latest, this.#deadline);
    this.gzip = gzip && (call.acceptsGzip ?? acceptsGzip(metadata as grpc.Metadata));
    const deadline = Math.min(this.#deadline, latest);
    this.context = new CallContext(method, metadata, deadline, call, this);
    if (deprecationOf(method)) server.onDeprecated?.(method, this.context);
    if (server.traced) this.#trace = serverTrace(method, metadata);
    server.calls.add(this);
  }

  /** Runs work as part of this call and of its trace. */
  run<T>(work: () => T): T {
    if (!this.#trace) return this.context.run(work);
    return context.with(this.#trace, () => this.context.run(work));
  }

  /** The caller has left, or its deadline has passed. */
  leave(): void {
    if (!this.finished)
      this.finish(Date.now() >= this.#deadline ? deadlineExceeded() : cancelled());
  }

  /** The contract's `longest` or the caller's deadline is over. */
  expire(): void {
    this.end(this.expires === this.#deadline ? deadlineExceeded() : tooLong(this.awaitsAnswer));
  }

  /** True for the first, who may send the answer. */
  finish(reason: ConnectError = answered): boolean {
    if (this.finished) return false;
    this.finished = true;
    this.server.calls.delete(this);
    this.#safely("an abort listener", () => this.context.abort(reason));
    this.#safely("the end of a stream", () => this.onFinish?.());
    const code = reason === answered ? undefined : reason.code;
    if (this.server.observers.length > 0) {
      if (this.#trace) context.with(this.#trace, () => this.#report(code));
      else this.#report(code);
    }
    const span = this.#trace && trace.getSpan(this.#trace);
    if (span) this.#safely("a span", () => endServerSpan(span, code));
    return true;
  }

  /** What is thrown beside a call, by an observer or an exporter, ends neither the call nor the process. */
  #safely(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      logSafely(this.server.log, { err: error }, `The end of a call: ${what} has thrown`);
    }
  }

  #report(code: Code | undefined): void {
    const finished = {
      method: this.context.method,
      code: codeName(code),
      durationMs: performance.now() - this.#started,
      peer: this.context.peer,
    };
    for (const observer of this.server.observers)
      this.#safely("an observer", () => observer(finished));
  }

  /** Ends it now with this error. */
  end(error: ConnectError): void {
    if (!this.finish(error)) return;
    const { call, context } = this;
    const deprecation = deprecationOf(context.method);
    if (deprecation) warn(context.responseTrailer, deprecation);
    // An answer of trailers alone can be retried by a client, so headers that were not sent go along
    // with them; but who reads a stream looks for what its handler has set where that belongs.
    else if (!this.awaitsAnswer && context.headersToSend && !context.headersSent) {
      context.headersSent = true;
      call.sendMetadata(this.sendable(context.headersToSend));
    }
    call.sendStatus(toStatus(error, context.trailersOfFailure, this.#onDropped));
  }

  /** Ends it with whatever was thrown. */
  fail(error: unknown): void {
    const { log, isAway } = this.server;
    if (this.finished) return;
    let failure: ConnectError;
    try {
      failure = toConnectError(error, log, isAway);
    } catch {
      failure = new ConnectError("Internal error", Code.Internal);
    }
    this.end(failure);
  }

  /** Headers or trailers as far as they can be sent. */
  sendable(headers: Headers): grpc.Metadata {
    return toSendableMetadata(headers, {
      maxBytes: MAX_METADATA_BYTES,
      onDropped: this.#onDropped,
    });
  }

  readonly #onDropped = (name: string): void => {
    const { path } = policyOf(this.context.method);
    logSafely(this.server.log, { rpc: path.slice(1), name }, "A reply cannot carry this metadata");
  };
}

/** The contract's `longest` is over: a stream can be resumed, an answer comes too late. */
function tooLong(awaitsAnswer: boolean): ConnectError {
  return awaitsAnswer
    ? engineFailure(EngineReason.TOO_SLOW, "The call took longer than its contract allows")
    : engineFailure(EngineReason.STREAM_EXPIRED, "The stream has lived its time; resume it", {
        retryDelay: { seconds: 0n },
      });
}

/**
 * The calls that are under way. One timer watches over the contract's `longest` of them all: it stands at
 * the first that may be over, and most are answered long before.
 */
export class RunningCalls extends Set<RunningCall> {
  #due = Infinity;
  #stopTimer: (() => void) | undefined;

  constructor(private readonly clock: EngineClock) {
    super();
  }

  override add(call: RunningCall): this {
    if (call.expires < this.#due) this.#watch(call.expires);
    return super.add(call);
  }

  #watch(due: number): void {
    this.#stopTimer?.();
    this.#due = due;
    this.#stopTimer = this.clock.after(due - this.clock.now(), () => this.#look());
  }

  #look(): void {
    this.#due = Infinity;
    const now = this.clock.now();
    let next = Infinity;
    for (const call of this) {
      if (call.expires <= now) this.#expire(call);
      else next = Math.min(next, call.expires);
    }
    if (next < Infinity) this.#watch(next);
  }

  /** One that cannot be ended must not keep the others from it. */
  #expire(call: RunningCall): void {
    try {
      call.expire();
    } catch {
      this.delete(call);
    }
  }
}
