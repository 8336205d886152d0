import type { Round } from "../callers.js";
import { cpuRatio, median, type Ratio, ratio, shown } from "../ratios.js";
import type { Counts } from "./counts.js";

export type ShopName = "shop" | "obvious";

/** A measured round of one shop. */
export interface Measure extends Round, Counts {
  /** Checkouts a second. */
  rate: number;
  /** CPU time of a checkout in the shop's three processes. */
  nodeMicros: number;
  /** The same in all processes of Postgres. */
  postgresMicros: number;
}

const columns = [
  ["rate", "a second", 1],
  ["failed", "failed", 0],
  ["p50Ms", "p50 ms", 0],
  ["p99Ms", "p99 ms", 0],
  ["nodeMicros", "Node us", 0],
  ["postgresMicros", "Postgres us", 0],
  ["commits", "commits", 1],
  ["statements", "statements", 1],
  ["eventStatements", "for events", 1],
  ["syncs", "WAL syncs", 2],
] as const;

/** Checkouts a second that are wanted over those of the obvious shop. */
const WANTED = 3;

export function report(measures: Record<ShopName, Measure[]>, limits: number[]) {
  const ratios: Record<string, Ratio> = {};
  const middle = (name: ShopName) =>
    Object.fromEntries(
      columns.map(([key]) => [key, median(measures[name].map((measure) => measure[key]))]),
    );
  const of = (name: ShopName, key: keyof Measure) => measures[name].map((measure) => measure[key]);
  ratios["checkouts a second, shop over obvious"] = ratio(
    of("shop", "rate"),
    of("obvious", "rate"),
    WANTED,
  );
  ratios["p99, obvious over shop"] = ratio(of("obvious", "p99Ms"), of("shop", "p99Ms"));
  const cpu = (name: ShopName) => measures[name].map((m) => m.nodeMicros + m.postgresMicros);
  const cpuTime = cpuRatio(cpu("obvious"), cpu("shop"));
  // Not a number where the system does not tell the CPU time of other processes.
  if (cpuTime.median > 0) ratios["CPU time of a checkout, obvious over shop"] = cpuTime;
  if (limits.length > 0)
    ratios["checkouts a second, shop over pgbench"] = ratio(of("shop", "rate"), limits);
  const medians = { shop: middle("shop"), obvious: middle("obvious") };
  const lines = [
    "each checkout".padEnd(14) + columns.map(([, title]) => title.padStart(12)).join(""),
  ];
  for (const [name, values] of Object.entries(medians))
    lines.push(
      `  ${name.padEnd(12)}` +
        columns.map(([key, , digits]) => values[key]!.toFixed(digits).padStart(12)).join(""),
    );
  lines.push("", ...Object.entries(ratios).map(([name, value]) => `${name}: ${shown(value)}`));
  return { text: lines.join("\n"), data: { ratios, node: process.version, medians } };
}
