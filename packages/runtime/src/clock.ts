/** Where business rules get the time from. */
export interface Clock {
  now(): Date;
}

/** The time as it is. */
export const systemClock: Clock = { now: () => new Date() };

/** A clock that stands still until it is moved. */
export interface MovableClock extends Clock {
  /** Moves the clock on (or back) by so many milliseconds. */
  advance(milliseconds: number): void;
}

/**
 * A clock for tests.
 *
 * @example
 * const clock = movableClock();
 * clock.advance(15 * 60_000); // the reservation has expired
 */
export function movableClock(start = new Date()): MovableClock {
  let time = start.getTime();
  return {
    now: () => new Date(time),
    advance: (milliseconds) => {
      time += milliseconds;
    },
  };
}
