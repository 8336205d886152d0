import type { Options } from "k6/options";
import { MEASURED } from "./phases.ts";

/** What a method promises, in milliseconds. */
interface Objective {
  p95: number;
  p99: number;
}

/**
 * The shop's service level objectives on two cores, as a caller sees them. Reads are quick; a checkout
 * is a saga of five steps with durable commits.
 */
const objectives = {
  ListProducts: { p95: 100, p99: 250 },
  GetProduct: { p95: 50, p99: 150 },
  CheckStock: { p95: 50, p99: 150 },
  CompleteOrder: { p95: 500, p99: 1_500 },
  GetOrder: { p95: 50, p99: 150 },
  CancelOrder: { p95: 150, p99: 400 },
} satisfies Record<string, Objective>;

/** The times of a method, of which k6 tells where a condition is asked of them, or none. */
export const of = (method: string) => `rpc_duration{${MEASURED},rpc:${method}}`;

/** A method that has objectives. */
export type Method = keyof typeof objectives;

/**
 * Thresholds that fail a run: each method's p95 and p99, times `slack` where a scenario goes beyond
 * the load that they are promised for; the share of failed calls; and no iteration that k6 had to
 * drop because all of its virtual users were busy. Warming up is not judged.
 */
export function thresholds(
  methods: Method[],
  { slack = 1, failures = 0.001, dropped = true } = {},
): Options["thresholds"] {
  const latencies = methods.map((method) => {
    const { p95, p99 } = objectives[method];
    return [of(method), [`p(95)<${p95 * slack}`, `p(99)<${p99 * slack}`]];
  });
  return {
    ...(Object.fromEntries(latencies) as Record<string, string[]>),
    [`rpc_failed{${MEASURED}}`]: [`rate<=${failures}`],
    ...(dropped && { dropped_iterations: ["count==0"] }),
  };
}
