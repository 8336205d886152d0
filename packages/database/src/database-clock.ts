/**
 * The time of Postgres, known without a round trip. Rules that several processes share (what has
 * expired, what comes first) go by this clock, because the clocks of the processes may be minutes
 * apart.
 *
 * Each answer of Postgres that carries its time bounds the difference between that time and this
 * process's monotonic clock: Postgres read its clock after the statement was sent and before the
 * answer came. Answers that agree narrow the bounds. An answer that contradicts them replaces them:
 * then one of the clocks was set, drifted, or the machine slept. So a slow answer never makes the
 * time worse, and with `performance.now()` between two answers a step of this machine's clock has no
 * effect.
 */
export class DatabaseClock {
  /** Bounds of the difference, in milliseconds. */
  #lowMs = -Infinity;
  #highMs = Infinity;

  /** The time now. Throws a `TimeUnknownError` until Postgres has answered once. */
  now(): Date {
    const differenceMs = this.#lowMs + (this.#highMs - this.#lowMs) / 2;
    if (!Number.isFinite(differenceMs)) throw new TimeUnknownError();
    return new Date(performance.now() + differenceMs);
  }

  /**
   * Learns from one answer. Times are in milliseconds: Postgres' time since 1970, and when the
   * statement was sent and the answer came by `performance.now()`.
   */
  learn(postgresMs: number, sentMs: number, receivedMs = performance.now()): void {
    const lowMs = postgresMs - receivedMs;
    const highMs = postgresMs - sentMs;
    const agrees = lowMs <= this.#highMs && this.#lowMs <= highMs;
    this.#lowMs = agrees ? Math.max(lowMs, this.#lowMs) : lowMs;
    this.#highMs = agrees ? Math.min(highMs, this.#highMs) : highMs;
  }
}

/** Postgres has not answered yet since this process started, so its time is not known. */
export class TimeUnknownError extends Error {
  override readonly name = "TimeUnknownError";

  constructor() {
    super("Postgres has not told its time yet");
  }
}

/** The column of a statement that `learn` takes, as a number. */
export const POSTGRES_MS = `(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "postgresMs"`;
