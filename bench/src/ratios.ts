/** What a bench is told. */
interface BenchOptions {
  /** A short run, to see that it works; its figures mean little. */
  quick: boolean;
  /** How often each variant is measured, and for how long; every bench has its own defaults. */
  rounds: number | undefined;
  seconds: number | undefined;
  progress: (line: string) => void;
}

/** A ratio between two variants that were measured side by side. */
export interface Ratio {
  median: number;
  min: number;
  max: number;
  /** What is wanted; absent where there is no target. */
  wanted: number | undefined;
}

/** The end of a bench, for people and for programs. */
interface BenchReport {
  text: string;
  data: { ratios: Record<string, Ratio> } & Record<string, unknown>;
}

export type Bench = (options: BenchOptions) => Promise<BenchReport>;

/** Compares two variants round by round, so that what slows the machine slows both. */
export function ratio(over: number[], under: number[], wanted?: number): Ratio {
  const all = over.map((value, round) => value / under[round]!).sort((a, b) => a - b);
  return { median: median(all), min: all[0]!, max: all.at(-1)!, wanted };
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** `1.42 (1.31 to 1.55), wanted 1.4`. */
export function shown({ median, min, max, wanted }: Ratio): string {
  const target = wanted === undefined ? "" : `, wanted ${wanted}`;
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})${target}`;
}
