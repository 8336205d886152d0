import { benches } from "../benches.js";
import type { Ratio } from "../ratios.js";
import type { Table } from "../table.js";
import type { Results, Run } from "./results.js";

/** The page of all benches, in Markdown. */
export function page(results: Results): string {
  const { machine, quick, time } = results;
  const loads = Object.values(results.benches).flatMap((run) => [run.loadBefore, run.loadAfter]);
  const busy = loads.map(([minute = 0]) => minute);
  const options = quick ? " --quick" : "";
  return [
    "# Performance",
    "",
    `Written by \`npm run bench -- all${options}\` on ${time.slice(0, 10)}; its figures are in [bench/results](../bench/results/${time.slice(0, 10)}.json). \`npm run bench -- compare${options}\` measures again and fails where a ratio by CPU time is in each round under half of what was committed. How stock is reserved, and longer runs of reservations and checkouts: [the flash sale](performance/flash-sale.md). How far the system reaches: [capacity](capacity.md).`,
    "",
    `**Where**: ${machine.cores} cores of ${machine.model}, ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB, ${machine.kernel}, Node ${machine.node}. **Load average** over one minute, before and after each bench: ${Math.min(...busy)} to ${Math.max(...busy)}. ${plainly(Math.max(...busy), machine.cores)}${quick ? " The runs were short (`--quick`): they show that all of it works and roughly where it stands, and no more." : ""}`,
    "",
    "Every figure is a ratio of two variants that took turns on the same machine: the median of the rounds, the lowest and the highest. More is always better for this project. Where lowest and highest are the same there was one round. Those that `compare` looks at are by CPU time, which other work on the machine changes least. Grey bars in the charts have no wanted value.",
    "",
    machine.noInstructions
      ? `Instructions were not counted: ${machine.noInstructions}. \`compare\` goes by CPU time alone.`
      : "Instructions of the servers of `rpc` were counted as well (`perf stat`), and `compare` looks at them too.",
    ...Object.entries(results.benches).flatMap(([name, run]) => section(name, run, options)),
    "",
  ].join("\n");
}

function plainly(busiest: number, cores: number): string {
  return busiest > cores
    ? "More processes wanted a core than there were: rates and delays are those of a crowded machine, and ratios are rough."
    : "The machine was not crowded.";
}

function section(name: string, { report, failure, ...run }: Run, options: string): string[] {
  const heading = ["", `## ${name}`, ""];
  if (!report) return [...heading, `Not measured this time: ${failure}.`];
  const [before, after] = [run.loadBefore, run.loadAfter].map(([minute]) => minute);
  return [
    ...heading,
    `${benches[name]?.about ?? ""} \`npm run bench -- ${name}${options}\`; ${run.seconds} s, load average ${before} before and ${after} after.`,
    "",
    `![${name}](performance/${name}.svg)`,
    "",
    "| | median | lowest | highest | wanted | compared |",
    "|---|---:|---:|---:|---:|---|",
    ...Object.entries(report.ratios).map(row),
    ...(report.tables ?? []).flatMap(inMarkdown),
  ];
}

function inMarkdown({ title, columns, rows, verdict }: Table): string[] {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  const edges = columns.map((_, at) => (at === 0 ? "---" : "---:"));
  return ["", `**${title}**`, "", ...[columns, edges, ...rows].map(line), "", verdict];
}

function row([name, { median, min, max, wanted, cpu }]: [string, Ratio]): string {
  const target = wanted === undefined ? "" : `${wanted}${median < wanted ? ", missed" : ""}`;
  const cells = [name, digits(median), digits(min), digits(max), target, cpu ? "yes" : ""];
  return `| ${cells.join(" | ")} |`;
}

/** Three digits that count. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
