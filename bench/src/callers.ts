import { createHistogram } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";

/** How it went, as the callers saw it. */
export interface Round {
  operations: number;
  /** Calls that failed; they are not among the operations. */
  failed: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

/** Milliseconds that a caller waits who was refused: at once again, it would only be more load. */
const PAUSE_MS = 100;

/** Milliseconds that are added for as long as no call has succeeded, as where a server sheds all. */
const PATIENCE_MS = 30_000;

/**
 * So many callers, each of whom calls again as soon as it is answered, for so long. Rejects where
 * every call fails.
 */
export async function callers(
  count: number,
  milliseconds: number,
  call: () => Promise<unknown>,
): Promise<Round> {
  const calls = new Calls(call);
  const end = performance.now() + milliseconds;
  const goesOn = (now: number) => now < end || (calls.answered === 0 && now < end + PATIENCE_MS);
  const caller = async () => {
    while (goesOn(performance.now())) if (!(await calls.make())) await setTimeout(PAUSE_MS);
  };
  await Promise.all(Array.from({ length: count }, caller));
  return calls.round();
}

/**
 * So many calls begun a second, evenly, whether or not those before have been answered, for so long.
 * Rejects where every call fails.
 */
export async function arrivals(
  perSecond: number,
  milliseconds: number,
  call: () => Promise<unknown>,
): Promise<Round> {
  const calls = new Calls(call);
  const arrive = async (_: unknown, nth: number) => {
    await setTimeout((nth * 1000) / perSecond);
    await calls.make();
  };
  const length = Math.ceil((perSecond * milliseconds) / 1000);
  await Promise.all(Array.from({ length }, arrive));
  return calls.round();
}

/** Calls of one kind, from now on, and how they went. */
class Calls {
  readonly #start = performance.now();
  readonly #histogram = createHistogram();
  #failed = 0;
  #failure: unknown;

  constructor(private readonly call: () => Promise<unknown>) {}

  get answered(): number {
    return this.#histogram.count;
  }

  /** Makes one, and tells whether it was answered. */
  async make(): Promise<boolean> {
    const began = performance.now();
    try {
      await this.call();
      this.#histogram.record(Math.max(1, Math.round((performance.now() - began) * 1e6)));
      return true;
    } catch (error) {
      this.#failed += 1;
      this.#failure = error;
      return false;
    }
  }

  /** How all of them went; throws where none was answered. */
  round(): Round {
    if (this.answered === 0) throw new Error("Every call failed", { cause: this.#failure });
    return {
      operations: this.answered,
      failed: this.#failed,
      // until the last answer: what was asked for is counted with the time that it took
      seconds: (performance.now() - this.#start) / 1000,
      p50Ms: this.#histogram.percentile(50) / 1e6,
      p99Ms: this.#histogram.percentile(99) / 1e6,
    };
  }
}
