/** What the order's side of a match needs; all of its prices are in one currency. */
export interface SoldOrder {
  currency: string;
  lines: readonly SoldLine[];
}

/** One line of an order; prices in minor units. */
export interface SoldLine {
  lineNo: number;
  sku: string;
  quantity: bigint;
  unitPrice: bigint;
  returnedQuantity: bigint;
}

/** One line that is to come back; without a price it comes back at what it cost. */
export interface WantedLine {
  sku: string;
  quantity: bigint;
  unitPrice: { minorUnits: bigint; currency: string } | undefined;
}

/** What becomes of a return when it meets its order. */
export type ReturnMatch =
  | { outcome: "not-on-order"; mismatches: LineMismatch[] }
  | { outcome: "exceeds"; excesses: Excess[] }
  | { outcome: "fits"; prices: bigint[]; refund: bigint; back: SoldLine[]; complete: boolean };

interface LineMismatch {
  index: number;
  field: "sku" | "unit_price";
  description: string;
}

interface Excess {
  sku: string;
  description: string;
}

/**
 * Matches a return with the lines of its order.
 *
 * Lines of one product at one price are one pool, which comes back in the order's line order. The
 * outcomes are tried in the order of ReturnItems' comment. Where the return fits, `prices` has the
 * price of each wanted line, `back` the order's lines that change, as they are afterwards, and
 * `complete` tells that nothing is left with the customer.
 *
 * @example
 * matchReturn(order, [{ sku: "85123A", quantity: 2n, unitPrice: undefined }]);
 */
export function matchReturn(sold: SoldOrder, wanted: readonly WantedLine[]): ReturnMatch {
  const bySku = Map.groupBy(sold.lines, (line) => line.sku);
  const mismatches: LineMismatch[] = [];
  const prices = wanted.map((line, index) => {
    const price = priceOnOrder(bySku.get(line.sku), sold.currency, line);
    if (typeof price === "bigint") return price;
    mismatches.push({ index, ...price });
    return 0n;
  });
  if (mismatches.length > 0) return { outcome: "not-on-order", mismatches };

  const pools = poolUp(wanted, prices);
  const excesses = [...Map.groupBy(pools, (pool) => pool.sku)].flatMap(([sku, ofSku]) =>
    excessOf(sku, ofSku, bySku.get(sku) ?? []),
  );
  if (excesses.length > 0) return { outcome: "exceeds", excesses };

  const back = pools.flatMap((pool) => takeBack(bySku.get(pool.sku) ?? [], pool));
  const refund = wanted.reduce((sum, line, index) => sum + line.quantity * prices[index]!, 0n);
  const kept = sold.lines.reduce((sum, line) => sum + open(line), 0n);
  const returned = wanted.reduce((sum, line) => sum + line.quantity, 0n);
  return { outcome: "fits", prices, refund, back, complete: kept === returned };
}

interface Pool {
  sku: string;
  unitPrice: bigint;
  quantity: bigint;
}

function open(line: SoldLine): bigint {
  return line.quantity - line.returnedQuantity;
}

function priceOnOrder(
  lines: readonly SoldLine[] | undefined,
  currency: string,
  wanted: WantedLine,
): bigint | Omit<LineMismatch, "index"> {
  if (!lines) return { field: "sku", description: `${wanted.sku} is not on the order` };
  const prices = new Set(lines.map((line) => line.unitPrice));
  if (wanted.unitPrice === undefined)
    return prices.size === 1
      ? lines[0]!.unitPrice
      : { field: "unit_price", description: `${wanted.sku} was sold at ${prices.size} prices` };
  const { minorUnits } = wanted.unitPrice;
  return wanted.unitPrice.currency === currency && prices.has(minorUnits)
    ? minorUnits
    : { field: "unit_price", description: `${wanted.sku} was not sold at this price` };
}

function poolUp(wanted: readonly WantedLine[], prices: readonly bigint[]): Pool[] {
  const pools = new Map<string, Pool>();
  wanted.forEach(({ sku, quantity }, index) => {
    const unitPrice = prices[index]!;
    const pool = pools.get(`${sku} ${unitPrice}`);
    if (pool) pool.quantity += quantity;
    else pools.set(`${sku} ${unitPrice}`, { sku, unitPrice, quantity });
  });
  return [...pools.values()];
}

function excessOf(sku: string, pools: readonly Pool[], lines: readonly SoldLine[]): Excess[] {
  const over = pools.flatMap(({ unitPrice, quantity }) => {
    const left = lines
      .filter((line) => line.unitPrice === unitPrice)
      .reduce((sum, line) => sum + open(line), 0n);
    return quantity > left ? [`${quantity} to come back, ${left} can`] : [];
  });
  return over.length > 0 ? [{ sku, description: over.join("; ") }] : [];
}

function takeBack(lines: readonly SoldLine[], { unitPrice, quantity }: Pool): SoldLine[] {
  const changed: SoldLine[] = [];
  for (const line of lines) {
    const taken = open(line) < quantity ? open(line) : quantity;
    if (line.unitPrice !== unitPrice || taken === 0n) continue;
    changed.push({ ...line, returnedQuantity: line.returnedQuantity + taken });
    quantity -= taken;
  }
  return changed;
}
