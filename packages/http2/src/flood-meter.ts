import { ConnectionError, ErrorCode, type Violation } from "./error-code.js";
import type { Http2Limits } from "./limits.js";

/** Resets may come in a burst of this many seconds' worth: a client that gives up cancels all it has. */
const RESET_BURST_S = 5;

/**
 * Counts the frames of a connection that cost this side work and its peer nothing. Throws a
 * ConnectionError with ENHANCE_YOUR_CALM when one kind comes more often than its limit.
 */
export class FloodMeter {
  readonly #limits: Http2Limits;
  #pings = 0;
  #settings = 0;
  #idleFrames = 0;
  #resets = 0;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  ping(): void {
    if (++this.#pings > this.#limits.maxPingsPerSecond) throw flood("ping");
  }

  settings(): void {
    if (++this.#settings > this.#limits.maxSettingsPerSecond) throw flood("settings");
  }

  /** A frame that carries nothing. */
  idleFrame(): void {
    if (++this.#idleFrames > this.#limits.maxIdleFramesPerSecond) throw flood("idle_frames");
  }

  /** A stream that the peer reset, or made this side reset (CVE-2023-44487, CVE-2025-8671). */
  reset(): void {
    if (++this.#resets > this.#limits.maxResetsPerSecond * RESET_BURST_S) throw flood("resets");
  }

  /** To be called once a second. */
  nextSecond(): void {
    this.#pings = 0;
    this.#settings = 0;
    this.#idleFrames = 0;
    this.#resets = Math.max(0, this.#resets - this.#limits.maxResetsPerSecond);
  }
}

function flood(cause: Violation): ConnectionError {
  return new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, `Too many frames: ${cause}`, cause);
}
