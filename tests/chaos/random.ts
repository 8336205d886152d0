/** Random numbers that a seed decides. */
export interface Random {
  /** From 0 up to 1. */
  number: () => number;
  /** A whole number from `least` to `most`. */
  whole: (least: number, most: number) => number;
  pick: <T>(from: readonly T[]) => T;
  shuffle: <T>(of: readonly T[]) => T[];
}

/** mulberry32, https://github.com/cprosche/mulberry32: one step is a few multiplications. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const number = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (least: number, most: number) => least + Math.floor(number() * (most - least + 1));
  return {
    number,
    whole,
    pick: (from) => from[whole(0, from.length - 1)]!,
    shuffle: (of) => {
      const cards = [...of];
      for (let last = cards.length - 1; last > 0; last--) {
        const other = whole(0, last);
        [cards[last], cards[other]] = [cards[other]!, cards[last]!];
      }
      return cards;
    },
  };
}
