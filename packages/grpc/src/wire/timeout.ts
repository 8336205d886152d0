const UNIT_MS: Record<string, number> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/**
 * Milliseconds of a `grpc-timeout` (gRPC, PROTOCOL-HTTP2, "Timeout"): up to eight digits and a unit.
 * `undefined` for anything else.
 *
 * @example
 * timeoutMs("100m"); // 100
 */
export function timeoutMs(value: string): number | undefined {
  if (!/^\d{1,8}[HMSmun]$/.test(value)) return undefined;
  return Number(value.slice(0, -1)) * UNIT_MS[value.at(-1)!]!;
}
