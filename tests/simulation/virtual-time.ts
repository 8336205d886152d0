import { setImmediate as macrotask } from "node:timers/promises";
import { type Random, seeded } from "../chaos/random.ts";

interface Timer {
  at: number;
  order: number;
  run: () => void;
}

/**
 * Time that passes as fast as the work in it is done, and a chance that a seed decides: while it is
 * installed, `setTimeout` and `Math.random` of this process are its own. So the same seed is the same
 * order of everything.
 */
export class VirtualTime implements Disposable {
  readonly random: Random;
  /** Milliseconds since it began. */
  now = 0;
  readonly #timers = new Map<number, Timer>();
  readonly #real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    random: Math.random,
  };
  #count = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    Object.assign(globalThis, {
      setTimeout: (run: () => void, milliseconds = 0) => this.#start(run, milliseconds),
      clearTimeout: (id: number) => this.#timers.delete(id),
    });
    Math.random = this.random.number;
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.#start(resolve, milliseconds));
  }

  /** Lets time pass until `isOver`, or until there is nothing left that could happen. */
  async pass(isOver: () => boolean): Promise<void> {
    for (;;) {
      // All that follows from the last moment happens in it.
      await macrotask();
      const next = [...this.#timers].reduce<[number, Timer] | undefined>(
        (first, timer) => (first && isEarlier(first[1], timer[1]) ? first : timer),
        undefined,
      );
      if (isOver() || !next) return;
      const [id, { at, run }] = next;
      this.#timers.delete(id);
      this.now = Math.max(this.now, at);
      run();
    }
  }

  [Symbol.dispose](): void {
    const { random, ...timers } = this.#real;
    Object.assign(globalThis, timers);
    Math.random = random;
  }

  #start(run: () => void, milliseconds: number): number {
    const order = ++this.#count;
    this.#timers.set(order, { at: this.now + Math.max(0, milliseconds), order, run });
    return order;
  }
}

function isEarlier(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
