import { monitorEventLoopDelay } from "node:perf_hooks";
import type { ConnectError } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import { engineFailure } from "./failure.js";

/** When a server says no to new calls rather than being late with all. */
export interface SheddingLimits {
  /** Calls under way at once. */
  maxCallsInFlight: number;
  /** Mean delay of the event loop over the last interval, in milliseconds. */
  maxEventLoopDelayMs: number;
}

/** Limits that hold unless a server is given others. */
export const defaultShedding: SheddingLimits = {
  maxCallsInFlight: 2_000,
  maxEventLoopDelayMs: 250,
};

const RESOLUTION_MS = 10;
const INTERVAL_MS = 200;

/** Milliseconds that a refused caller is asked to wait. */
const PUSHBACK_MS = 200;

/**
 * Decides at the door whether a call gets in. What is refused costs little: no handler runs, nothing
 * was done, and the caller is told when to come back (`google.rpc.RetryInfo`, and
 * `grpc-retry-pushback-ms` of gRFC A6 for clients that retry by themselves).
 */
export class Shedding implements Disposable {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #delayMs = 0;
  /** Calls that were refused. */
  refused = 0;

  constructor(
    private readonly limits: SheddingLimits,
    private readonly callsInFlight: () => number,
  ) {
    this.#delay.enable();
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS).unref();
  }

  /** The error for a call that must not get in; `undefined` lets it in. */
  refusal(): ConnectError | undefined {
    const { maxCallsInFlight, maxEventLoopDelayMs } = this.limits;
    if (this.callsInFlight() < maxCallsInFlight && this.#delayMs < maxEventLoopDelayMs)
      return undefined;
    this.refused++;
    const error = engineFailure(EngineReason.OVERLOADED, "The server is at its limit", {
      retryDelay: { seconds: 0n, nanos: PUSHBACK_MS * 1_000_000 },
    });
    error.metadata.set("grpc-retry-pushback-ms", String(PUSHBACK_MS));
    return error;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }

  #look(): void {
    this.#delayMs = this.#delay.count > 0 ? this.#delay.mean / 1e6 - RESOLUTION_MS : 0;
    this.#delay.reset();
  }
}
