import type { Ratio } from "../ratios.js";
import type { Table } from "../table.js";

/** What a part of the bench is told. */
interface PartOptions {
  quick: boolean;
  rounds: number;
  milliseconds: number;
  progress: (line: string) => void;
}

/** One size that grows, and what it does to what. */
export type Part = (options: PartOptions) => Promise<{
  ratios: Record<string, Ratio>;
  table: { data: Table; text: string };
}>;
