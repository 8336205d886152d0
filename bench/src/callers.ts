import { createHistogram } from "node:perf_hooks";

/** How it went, as the callers saw it. */
export interface Round {
  operations: number;
  /** Calls that failed; they are not among the operations. */
  failed: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

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
  const caller = async () => {
    for (let began = start; began < end; began = performance.now()) {
      try {
        await call();
        histogram.record(Math.max(1, Math.round((performance.now() - began) * 1e6)));
      } catch (error) {
        failed += 1;
        failure = error;
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
