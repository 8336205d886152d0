import { type BenchReport, type Ratio, shown } from "./ratios.js";
import type { Table } from "./table.js";

/** Where a bench ran, in its first line: whether server and load had a core each, and what Node. */
export function where(pinned: boolean): string {
  return `Server and load ${pinned ? "on cores of their own" : "NOT pinned: the figures are rough"}; Node ${process.version}`;
}

/** A bench that comes to tables and ratios; `pinned` where server and load are pinned, or could be. */
export function report({
  tables,
  ratios,
  pinned,
}: {
  tables: { data: Table; text: string }[];
  ratios: Record<string, Ratio>;
  pinned?: boolean;
}): BenchReport {
  const text = [
    ...(pinned === undefined ? [] : [where(pinned), ""]),
    ...tables.flatMap(({ text }) => [text, ""]),
    ...Object.entries(ratios).map(([name, each]) => `${name}: ${shown(each)}`),
  ].join("\n");
  const data = { ratios, tables: tables.map(({ data }) => data), node: process.version };
  return { text, data: { ...data, ...(pinned !== undefined && { pinned }) } };
}
