/** What is known of a rate. */
export interface Step {
  rate: number;
  passed: boolean;
}

/**
 * Finds the highest rate that passes: doubles until one does not, then halves the gap until it is
 * under a tenth. `tries` bounds the steps. Returns 0 where the first does not pass.
 *
 * @example
 * const knee = await findKnee(10, async (rate) => (await run(rate)).passed);
 */
export async function findKnee(
  start: number,
  passes: (rate: number) => Promise<boolean>,
  tries = 12,
): Promise<{ knee: number; steps: Step[] }> {
  const steps: Step[] = [];
  let good = 0;
  let bad = Infinity;
  for (let rate = start; steps.length < tries;) {
    const passed = await passes(rate);
    steps.push({ rate, passed });
    if (passed) good = rate;
    else bad = rate;
    if (good === 0 || bad - good <= Math.max(1, good / 10)) break;
    rate = bad === Infinity ? good * 2 : Math.round((good + bad) / 2);
  }
  return { knee: good, steps };
}
