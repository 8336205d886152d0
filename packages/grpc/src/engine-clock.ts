/** Where a server gets the time for the contract's limits from. */
export interface EngineClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Does something after so many milliseconds; the function it returns takes that back. */
  after(milliseconds: number, work: () => void): () => void;
}

/** The time as it is. */
export const realTime: EngineClock = {
  now: Date.now,
  after(milliseconds, work) {
    const timer = setTimeout(work, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};
