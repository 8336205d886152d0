/**
 * The tax in a price that includes it, in minor units, rounded half up: at 2000 basis points (20 %)
 * 120 pence hold 20.
 */
export function taxIn(total: bigint, rateBasisPoints: number): bigint {
  const rate = BigInt(rateBasisPoints);
  const whole = 10_000n + rate;
  return (2n * total * rate + whole) / (2n * whole);
}
