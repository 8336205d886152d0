/** Figures in rows, and what they come to; the page of all benches shows it. */
export interface Table {
  title: string;
  columns: string[];
  rows: string[][];
  /** In a sentence or two. */
  verdict: string;
}

/** A table for programs, and the same for a terminal. */
export function table(data: Table): { data: Table; text: string } {
  const { title, columns, rows, verdict } = data;
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...rows.map((row) => row[at]!.length)),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join("  ");
  return { data, text: [title, line(columns), ...rows.map(line), verdict].join("\n") };
}
