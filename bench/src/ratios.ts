import type { Table } from "./table.js";

/** What a bench is told. */
interface BenchOptions {
  /** A short run, to see that it works; its figures mean little. */
  quick: boolean;
  /** How often each variant is measured, and for how long; every bench has its own defaults. */
  rounds: number | undefined;
  seconds: number | undefined;
  /** Only this part of it, where it has parts. */
  part?: string | undefined;
  progress: (line: string) => void;
}

/** A ratio between two variants that were measured side by side. */
export interface Ratio {
  median: number;
  min: number;
  max: number;
  /** What is wanted, at least; absent where there is no target. */
  wanted?: number | undefined;
  /** Whether it compares CPU time for the same work, which a busy machine changes least. */
  cpu?: boolean;
}

/** The end of a bench, for people and for programs. */
export interface BenchReport {
  text: string;
  data: { ratios: Record<string, Ratio>; tables?: Table[] } & Record<string, unknown>;
}

export type Bench = (options: BenchOptions) => Promise<BenchReport>;

/** Compares two variants round by round, so that what slows the machine slows both. */
export function ratio(over: number[], under: number[], wanted?: number): Ratio {
  const all = over.map((value, round) => value / under[round]!);
  return { median: median(all), min: Math.min(...all), max: Math.max(...all), wanted };
}

/** The same of CPU time for the same work. */
export function cpuRatio(over: number[], under: number[], wanted?: number): Ratio {
  return { ...ratio(over, under, wanted), cpu: true };
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [below, above] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[sorted.length >> 1]];
  return below === undefined || above === undefined ? Number.NaN : (below + above) / 2;
}

/** `1.42 (1.31 to 1.55), wanted 1.4`. */
export function shown({ median, min, max, wanted }: Ratio): string {
  const target = wanted === undefined ? "" : `, wanted ${wanted}`;
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})${target}`;
}
