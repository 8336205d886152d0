import type { AuditReport } from "./audit.js";

/** Differences that are printed; a broken shop has thousands. */
const MOST = 40;

/** An audit as a person reads it. */
export function printedAudit(report: AuditReport): string {
  const { stock, purchases, events, differences } = report;
  const published = Object.entries(events).map(
    ([name, { published: out, consumed }]) => `${name} ${out} out, ${consumed} in`,
  );
  const lines = [
    `Stock      ${report.products} products: ${stock.loaded} loaded - ${stock.sold} sold + ` +
      `${stock.returned} returned = ${stock.onHand} on hand, ${stock.reserved} of it reserved`,
    `Purchases  ${purchases.completed} completed, ${purchases.refused} refused; ${purchases.orders} orders`,
    `Payments   ${pounds(purchases.captured)} captured, ${pounds(purchases.refunded)} refunded`,
    `Events     ${published.join("; ")}`,
    "",
  ];
  if (report.holds) return [...lines, "All books agree"].join("\n");
  lines.push(`THE BOOKS DO NOT AGREE: ${differences.length} differences`);
  for (const { what, expected, found } of differences.slice(0, MOST))
    lines.push(`  ${what}: expected ${expected}, found ${found}`);
  return lines.join("\n");
}

/** Values that JSON has no number for are written as strings, as in ProtoJSON. */
export function asJson(report: unknown): string {
  return JSON.stringify(report, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}

function pounds(minorUnits: bigint): string {
  return (Number(minorUnits) / 100).toFixed(2);
}
