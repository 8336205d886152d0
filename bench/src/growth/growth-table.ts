import { cpuRatio, median, type Ratio } from "../ratios.js";
import { table } from "../table.js";
import { cell, type Cost } from "./cost.js";

/** What costs less than one and a half times as much over all sizes is flat. */
const FLAT = 1.5;

/**
 * Collects what some calls cost at each size of a thing, and says how that grows.
 *
 * @example
 * const found = growthTable("products", "inventory", [100, 2_800]);
 * found.add("GetProduct", await costOf(watched, call)); // for the first size, then for the next
 * return found.report("Products in the catalogue: CPU time of a call");
 */
export function growthTable(things: string, server: string, sizes: number[]) {
  const costs = new Map<string, Cost[]>();
  const shown = (size: number) => size.toLocaleString("en");
  return {
    add(call: string, cost: Cost): void {
      costs.set(call, [...(costs.get(call) ?? []), cost]);
    },
    /** `flat` are the calls of which that is wanted, `rates` shows the machine's own limits as well. */
    report(title: string, { flat = [...costs.keys()], rates = false, note = "" } = {}) {
      const ratios: Record<string, Ratio> = {};
      const [first = 0, last = 0] = [sizes[0], sizes.at(-1)];
      for (const [call, all] of costs)
        ratios[`CPU of ${call}, ${shown(first)} ${things} over ${shown(last)}`] = cpuRatio(
          all[0]!.micros,
          all.at(-1)!.micros,
          flat.includes(call) ? Math.round(100 / FLAT) / 100 : undefined,
        );
      const growths = [...costs].map(
        ([call, all]) =>
          `${call} ${growth(
            sizes,
            all.map(({ micros }) => median(micros)),
          )}`,
      );
      return {
        ratios,
        table: table({
          title: `${title}, microseconds of ${server} + of Postgres`,
          columns: [
            things,
            ...[...costs.keys()].flatMap((call) => [
              call,
              ...(rates ? ["a second", "p99 ms"] : []),
            ]),
          ],
          rows: sizes.map((size, at) => [
            shown(size),
            ...[...costs.values()].flatMap((all) => [
              `${cell(all[at]!.nodeMicros)} + ${cell(all[at]!.postgresMicros)}`,
              ...(rates ? [cell(all[at]!.rate), cell(all[at]!.p99Ms)] : []),
            ]),
          ]),
          verdict: `${growths.join("; ")}.${note}`,
        }),
      };
    },
  };
}

/**
 * How a cost grows with a size, by its exponent between the first and the last: 0 is flat, 1 is
 * linear.
 *
 * @example
 * growth([10, 1_000], [50, 55]); // "flat (1.1 times over 100 times the size)"
 */
export function growth(sizes: number[], costs: number[]): string {
  const [size, cost] = [sizes.at(-1)! / sizes[0]!, costs.at(-1)! / costs[0]!];
  const exponent = Math.log(cost) / Math.log(size);
  const kinds: [string, boolean][] = [
    ["falls", cost < 1 / FLAT],
    ["flat", cost < FLAT],
    ["nearly flat", exponent < 0.3],
    ["less than linear", exponent < 0.8],
    ["linear", exponent <= 1.2],
    ["more than linear", true],
  ];
  const [kind] = kinds.find(([, holds]) => holds)!;
  return `${kind} (${Number(cost.toPrecision(2))} times over ${Number(size.toPrecision(3))} times the size)`;
}
