import type { Round } from "../callers.js";
import { cpuRatio, median, type Ratio, ratio, shown } from "../ratios.js";
import type { Mix } from "./orders.js";
import type { WayName } from "./ways.js";

/** A measured round of one way. */
export interface Measure extends Round {
  /** Reservations a second. */
  rate: number;
  /** CPU time of a reservation in this process, callers included. */
  nodeMicros: number;
  /** The same in all processes of Postgres; NaN where the system does not tell. */
  postgresMicros: number;
}

/** All rounds of a mix. */
export interface MixResult {
  mix: Mix;
  ways: Record<WayName, Measure[]>;
  /** Reservations a second by pgbench; empty where it was not run. */
  limit: number[];
}

/** What is wanted of the grouped way: its rate over another's. */
const wanted: Record<string, Partial<Record<WayName | "pgbench", number>>> = {
  "hot product": { interactive: 15, "one statement": 8, pgbench: 0.5 },
  "even mix": { "one statement": 3, pgbench: 0.5 },
  "December mix": { interactive: 4 },
  "one caller": { "one statement": 0.9 },
};

export function report(results: MixResult[]) {
  const ratios: Record<string, Ratio> = {};
  const medians: Record<string, Record<string, object>> = {};
  const lines: string[] = [`Durable Postgres; Node ${process.version}; medians of rounds`];
  for (const { mix, ways, limit } of results) {
    const { grouped } = ways;
    const rates = (measures: Measure[]) => measures.map(({ rate }) => rate);
    const own: Record<string, object> = (medians[mix.name] = {});
    lines.push("", heading(`${mix.name}, ${mix.callers} at once`));
    for (const [name, measures] of Object.entries(ways) as [WayName, Measure[]][]) {
      const middle = middles(measures);
      own[name] = middle;
      let compared = "";
      if (name !== "grouped") {
        const over = ratio(rates(grouped), rates(measures), wanted[mix.name]?.[name]);
        ratios[`grouped over ${name}, ${mix.name}`] = over;
        const cpu = cpuRatio(cpuOf(measures), cpuOf(grouped));
        compared = shown(over);
        // Not a number where the system does not tell the CPU time of Postgres.
        if (cpu.median > 0) {
          ratios[`CPU time of ${name} over grouped, ${mix.name}`] = cpu;
          compared += `; CPU time ${shown(cpu)}`;
        }
      }
      lines.push(row(name, middle) + compared);
    }
    const slowest = (measures: Measure[]) => measures.map(({ p99Ms }) => p99Ms);
    const calmer = ratio(slowest(ways.interactive), slowest(grouped), 1);
    ratios[`p99 of interactive over grouped, ${mix.name}`] = calmer;
    lines.push(`  p99 of interactive over grouped: ${shown(calmer)}`);
    if (limit.length > 0) {
      const over = ratio(rates(grouped), limit, wanted[mix.name]?.pgbench);
      ratios[`grouped over pgbench, ${mix.name}`] = over;
      own["pgbench"] = { rate: median(limit) };
      lines.push(
        `  pgbench ${Math.round(median(limit))} a second, grouped over it: ${shown(over)}`,
      );
    }
  }
  return { text: lines.join("\n"), data: { ratios, node: process.version, medians } };
}

const cpuOf = (measures: Measure[]) =>
  measures.map(({ nodeMicros, postgresMicros }) => nodeMicros + postgresMicros);

const columns = [
  ["rate", "a second", 0],
  ["p50Ms", "p50 ms", 1],
  ["p99Ms", "p99 ms", 1],
  ["nodeMicros", "Node us", 0],
  ["postgresMicros", "Postgres us", 0],
] as const;

type Middle = Record<(typeof columns)[number][0], number>;

function middles(measures: Measure[]): Middle {
  const middle = (key: keyof Middle) => median(measures.map((measure) => measure[key]));
  return Object.fromEntries(columns.map(([key]) => [key, middle(key)])) as Middle;
}

function heading(name: string): string {
  return (
    name.padEnd(32) + columns.map(([, title]) => title.padStart(12)).join("") + "   grouped over it"
  );
}

function row(name: string, middle: Middle): string {
  const cells = columns.map(([key, , digits]) => middle[key].toFixed(digits).padStart(12));
  return `  ${name.padEnd(30)}${cells.join("")}   `;
}
