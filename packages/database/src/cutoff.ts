/** setTimeout and Postgres both count in 32 bits of milliseconds; nothing here runs for a day. */
const LONGEST_MS = 86_400_000;

/**
 * A signal that follows another one and also fires by itself when the time is up. Disposing it
 * takes its listener off the other signal and stops its timer: `AbortSignal.any` with
 * `AbortSignal.timeout` would keep one live timer for each past transaction until its time is up.
 */
export class Cutoff implements Disposable {
  readonly #controller = new AbortController();
  readonly #followed: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #endsAt: number;

  constructor(followed: AbortSignal | undefined, timeout: number) {
    const timeoutMs = Math.min(timeout, LONGEST_MS);
    this.#followed = followed;
    this.#endsAt = performance.now() + timeoutMs;
    this.#timer = setTimeout(() => {
      this.#controller.abort(timedOut(`not done within ${timeoutMs} ms`));
    }, timeoutMs);
    if (followed?.aborted) this.#follow();
    else followed?.addEventListener("abort", this.#follow);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Milliseconds left, at least 1: Postgres reads a timeout of 0 as "no timeout". */
  get remainingMs(): number {
    return Math.max(1, Math.ceil(this.#endsAt - performance.now()));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#followed?.removeEventListener("abort", this.#follow);
  }

  readonly #follow = (): void => this.#controller.abort(this.#followed?.reason);
}

/** What `AbortSignal.timeout` rejects with, so callers meet one kind of timeout. */
export function timedOut(message: string): DOMException {
  return new DOMException(message, "TimeoutError");
}

/** Rejects with the signal's reason as soon as it fires; the promise itself goes on unobserved. */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  promise: Promise<T>,
): Promise<T> {
  if (!signal) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
