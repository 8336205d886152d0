import type { Difference } from "../audit/differences.js";
import type { Tally } from "./replay.js";

/** The end of a replay, for people and for programs. */
export interface Report {
  orders: { accepted: number; rejected: number; reasons: Record<string, number> };
  cancellations: {
    applied: number;
    wholeOrders: number;
    partsOfOrders: number;
    withoutOrder: number;
    rejected: number;
    reasons: Record<string, number>;
  };
  units: { loaded: number; sold: number; returned: number };
  /** Pounds, to the penny. */
  turnover: string;
  /** Processes that were killed meanwhile. */
  kills: number;
  seconds: number;
  ordersPerSecond: number;
  proof: { holds: boolean; products: number; differences: Difference[]; wrong: string[] };
}

export function tallied({ rejected, cancellationsRejected, ...tally }: Tally) {
  const applied = tally.cancellations + tally.returnsOfOrders + tally.returnsWithoutOrder;
  return {
    orders: { accepted: tally.accepted, rejected: total(rejected), reasons: ranked(rejected) },
    cancellations: {
      applied,
      wholeOrders: tally.cancellations,
      partsOfOrders: tally.returnsOfOrders,
      withoutOrder: tally.returnsWithoutOrder,
      rejected: total(cancellationsRejected),
      reasons: ranked(cancellationsRejected),
    },
  };
}

/** The report as a person reads it. */
export function printed(report: Report): string {
  const { orders, cancellations, units, proof } = report;
  const lines = [
    "",
    `Orders         ${orders.accepted} accepted, ${orders.rejected} rejected`,
    ...reasonLines(orders.reasons),
    `Cancellations  ${cancellations.applied} applied: ${cancellations.wholeOrders} whole orders, ` +
      `${cancellations.partsOfOrders} parts of one, ${cancellations.withoutOrder} without an order; ` +
      `${cancellations.rejected} rejected`,
    ...reasonLines(cancellations.reasons),
    `Turnover       £${report.turnover}`,
    ...(report.kills > 0 ? [`Kills          ${report.kills} processes died meanwhile`] : []),
    `Pace           ${report.ordersPerSecond.toFixed(0)} orders a second, ${report.seconds.toFixed(1)} s`,
    "",
  ];
  if (proof.holds)
    lines.push(
      `Proof          every order comes to the file's total, to the penny`,
      `               stock of all ${proof.products} products: ${units.loaded} loaded - ` +
        `${units.sold} sold + ${units.returned} back = ${units.loaded - units.sold + units.returned}`,
    );
  else {
    lines.push(`THE BOOKS DO NOT BALANCE`, ...proof.wrong.slice(0, 20));
    for (const { what, expected, found } of proof.differences.slice(0, 20))
      lines.push(`  ${what}: expected ${expected}, found ${found}`);
  }
  return lines.join("\n");
}

function reasonLines(reasons: Record<string, number>): string[] {
  return Object.entries(reasons).map(
    ([reason, times]) => `               ${String(times).padStart(5)}  ${reason}`,
  );
}

function ranked(counts: Map<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

function total(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, times) => sum + times, 0);
}
