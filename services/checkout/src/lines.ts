import { create } from "@bufbuild/protobuf";
import { type PricedLine, PricedLineSchema } from "@emporium/contracts/checkout/v1";
import { toMoney } from "./money.js";

/** So many units of one product at one price, in minor units. */
export interface Line {
  sku: string;
  title: string;
  quantity: bigint;
  unitPrice: bigint;
}

/** What is bought and what it costs, in minor units of `currency`. */
export interface Basket {
  lines: Line[];
  total: bigint;
  currency: string;
}

/** Most units of one product that can be reserved at once (StockLine of inventory). */
export const MOST_UNITS = 1_000_000n;

/** What all lines cost together. */
export function totalOf(lines: readonly Line[]): bigint {
  return lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0n);
}

/** Units per product: a product may stand in several lines, at several prices. */
export function unitsPerSku(
  lines: readonly { sku: string; quantity: bigint }[],
): { sku: string; quantity: bigint }[] {
  const units = new Map<string, bigint>();
  for (const { sku, quantity } of lines) units.set(sku, (units.get(sku) ?? 0n) + quantity);
  return [...units].map(([sku, quantity]) => ({ sku, quantity }));
}

/** Lines as the contract tells them. */
export function lineMessages(lines: readonly Line[], currency: string): PricedLine[] {
  return lines.map(({ sku, title, quantity, unitPrice }) =>
    create(PricedLineSchema, { sku, title, quantity, unitPrice: toMoney(unitPrice, currency) }),
  );
}

/** A line in a JSON column; its numbers are at most 10^8, far below where they lose digits. */
export interface StoredLine {
  sku: string;
  title: string;
  quantity: number;
  unitPrice: number;
}

export function toStoredLines(lines: readonly Line[]): StoredLine[] {
  return lines.map(({ sku, title, quantity, unitPrice }) => ({
    sku,
    title,
    quantity: Number(quantity),
    unitPrice: Number(unitPrice),
  }));
}

export function fromStoredLines(stored: readonly StoredLine[]): Line[] {
  return stored.map(({ sku, title, quantity, unitPrice }) => ({
    sku,
    title,
    quantity: BigInt(quantity),
    unitPrice: BigInt(unitPrice),
  }));
}
