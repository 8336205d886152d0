import type { PeerCertificate } from "node:tls";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import type * as grpc from "@grpc/grpc-js";
import { CallContext, cancelled, deadlineExceeded } from "./call-context.js";
import { acceptsGzip } from "./compression.js";
import { deprecationOf, warn } from "./deprecation.js";
import type { EngineClock } from "./engine-clock.js";
import { type AwayCheck, type ErrorLog, toConnectError } from "./exceptions.js";
import { engineFailure } from "./failure.js";
import { type CallObserver, codeName } from "./observe.js";
import { policyOf } from "./policy.js";

/** What the calls of all four kinds have in common in grpc-js. */
export interface AnyCall extends NodeJS.EventEmitter {
  readonly metadata: grpc.Metadata;
  getDeadline(): grpc.Deadline;
  getPeer(): string;
  getAuthContext(): { sslPeerCertificate?: PeerCertificate };
  sendMetadata(metadata: grpc.Metadata): void;
}

/** What a call needs of the server around it. */
export interface CallSurroundings {
  readonly log: ErrorLog;
  readonly isAway?: AwayCheck | undefined;
  readonly clock: EngineClock;
  readonly observers: readonly CallObserver[];
  /** Told of every call of a deprecated method. */
  readonly onDeprecated?: (method: DescMethod, call: CallContext) => void;
  /** Calls that are under way, so that a drain can find them. */
  readonly calls: Set<RunningCall>;
}

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
  #stopTimer: (() => void) | undefined;
  #started = performance.now();

  constructor(
    method: DescMethod,
    call: AnyCall,
    private readonly server: CallSurroundings,
    /** Whether the caller waits for one answer, and so for the handler's end. */
    readonly awaitsAnswer: boolean,
    private readonly send: (error: ConnectError, trailers: Headers | undefined) => void,
  ) {
    const { longestMs, gzip } = policyOf(method);
    const named = call.getDeadline();
    const callers = named instanceof Date ? named.getTime() : named;
    const latest = server.clock.now() + longestMs;
    this.gzip = acceptsGzip(call.metadata) && gzip;
    this.context = new CallContext(method, call.metadata, Math.min(callers, latest), call);
    // grpc-js ends the call at the caller's deadline; the contract's is ours.
    if (latest < callers)
      this.#stopTimer = server.clock.after(longestMs, () => this.end(tooLong(awaitsAnswer)));
    const deprecation = deprecationOf(method);
    if (deprecation) {
      warn(this.context.responseHeader, deprecation);
      server.onDeprecated?.(method, this.context);
    }
    server.calls.add(this);
    call.on("cancelled", () => {
      if (!this.finished) this.finish(Date.now() >= callers ? deadlineExceeded() : cancelled());
    });
  }

  /** True for the first, who may send the answer. */
  finish(reason: ConnectError = answered): boolean {
    if (this.finished) return false;
    this.finished = true;
    this.#stopTimer?.();
    this.server.calls.delete(this);
    this.context.abort(reason);
    this.onFinish?.();
    if (this.server.observers.length > 0) this.#report(reason);
    return true;
  }

  #report(reason: ConnectError): void {
    const finished = {
      method: this.context.method,
      code: codeName(reason === answered ? undefined : reason.code),
      durationMs: performance.now() - this.#started,
      peer: this.context.peer,
    };
    for (const observer of this.server.observers) observer(finished);
  }

  /** Ends it now with this error. */
  end(error: ConnectError): void {
    if (!this.finish(error)) return;
    // A failure has no headers of its own: an answer of trailers alone can be retried by a client.
    const deprecation = deprecationOf(this.context.method);
    if (deprecation) warn(this.context.responseTrailer, deprecation);
    this.send(error, this.context.trailersToSend);
  }

  /** Ends it with whatever was thrown. */
  fail(error: unknown): void {
    const { log, isAway } = this.server;
    if (!this.finished) this.end(toConnectError(error, log, isAway));
  }
}

/** The contract's `longest` is over: a stream can be resumed, an answer comes too late. */
function tooLong(awaitsAnswer: boolean): ConnectError {
  return awaitsAnswer
    ? engineFailure(EngineReason.TOO_SLOW, "The call took longer than its contract allows")
    : engineFailure(EngineReason.STREAM_EXPIRED, "The stream has lived its time; resume it", {
        retryDelay: { seconds: 0n },
      });
}
