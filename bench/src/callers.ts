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
  const histogram = createHistogram();
  const start = performance.now();
  const end = start + milliseconds;
  let failed = 0;
  let failure: unknown;
  const goesOn = (now: number) => now < end || (histogram.count === 0 && now < end + PATIENCE_MS);
  const caller = async () => {
    for (let began = start; goesOn(began); began = performance.now()) {
      try {
        await call();
        histogram.record(Math.max(1, Math.round((performance.now() - began) * 1e6)));
      } catch (error) {
        failed += 1;
        failure = error;
        await setTimeout(PAUSE_MS);
      }
    }
  };
  await Promise.all(Array.from({ length: count }, caller));
  if (histogram.count === 0) throw new Error("Every call failed", { cause: failure });
  return {
    operations: histogram.count,
    failed,
    // until the last answer: what was asked for is counted with the time that it took
    seconds: (performance.now() - start) / 1000,
    p50Ms: histogram.percentile(50) / 1e6,
    p99Ms: histogram.percentile(99) / 1e6,
  };
}

/**
 * So many calls begun a second, evenly, whether or not those before have been answered. Rejects where
 * one fails.
 */
export async function arrivals(
  perSecond: number,
  milliseconds: number,
  call: () => Promise<unknown>,
): Promise<Round> {
  const histogram = createHistogram();
  const start = performance.now();
  const arrive = async (_: unknown, nth: number) => {
    await setTimeout((nth * 1000) / perSecond);
    const began = performance.now();
    await call();
    histogram.record(Math.max(1, Math.round((performance.now() - began) * 1e6)));
  };
  const length = Math.ceil((perSecond * milliseconds) / 1000);
  await Promise.all(Array.from({ length }, arrive));
  return {
    operations: length,
    failed: 0,
    seconds: (performance.now() - start) / 1000,
    p50Ms: histogram.percentile(50) / 1e6,
    p99Ms: histogram.percentile(99) / 1e6,
  };
}
