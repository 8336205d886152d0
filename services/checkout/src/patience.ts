const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** How long to be patient, and with what. */
export interface Patience {
  /** Ends it. */
  signal: AbortSignal;
  /** Whether an error is an answer, and not the lack of one; none is where this is absent. */
  isAnswer?: (error: unknown) => boolean;
  /** Told of every error that was no answer. */
  tell?: (error: unknown) => void;
}

/**
 * Asks again until the answer is known: an error that is not an answer leaves open whether the work
 * was done, so it is asked for again, under the same id, and never taken for a no. Pauses between
 * two attempts double from 50 ms to 2 s, with jitter.
 *
 * Rejects with an error that `isAnswer` accepts, or with the signal's reason.
 *
 * @example
 * await untilKnown({ signal }, () => inventory.releaseReservation({ reservationId }));
 */
export async function untilKnown<T>(
  { signal, isAnswer, tell }: Patience,
  work: () => Promise<T>,
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (isAnswer?.(error)) throw error;
      tell?.(error);
    }
    await pause(pauseMs * (0.5 + Math.random() / 2), signal);
  }
}

/** Resolves after so many milliseconds; rejects with the signal's reason if that fires before. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await unlessAborted(signal, promise).finally(() => clearTimeout(timer));
}

/**
 * Gives work so many milliseconds, and no more than `signal` gives it; its own signal then fires
 * with a TimeoutError. Rejects at that moment, also when the work pays no heed to its signal.
 */
export async function within<T>(
  milliseconds: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const follow = () => limit.abort(signal.reason);
  const over = () => limit.abort(new DOMException("no answer in time", "TimeoutError"));
  const timer = setTimeout(over, milliseconds);
  signal.addEventListener("abort", follow);
  if (signal.aborted) follow();
  try {
    return await unlessAborted(limit.signal, work(limit.signal));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", follow);
  }
}

/** Settles like the promise, or rejects with the signal's reason as soon as that fires. */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
