import type { SaleLine } from "../catalogue/sales.js";

/** An amount of money in the shop's currency, as the contract writes it. */
export interface Amount {
  units: bigint;
  nanos: number;
}

/** A line of an invoice: nothing is mended, only put into the contract's types. */
export interface InvoiceLine {
  sku: string;
  quantity: bigint;
  unitPrice: Amount;
}

/** An order of the file, or a cancellation (its number begins with C). */
export interface Invoice {
  number: string;
  cancellation: boolean;
  customerId: string;
  country: string;
  /** `2010-12-01`. */
  day: string;
  lines: InvoiceLine[];
}

/** Puts lines together that belong together, in the order of the file. */
export async function readInvoices(sales: AsyncIterable<SaleLine>): Promise<Invoice[]> {
  const invoices = new Map<string, Invoice>();
  for await (const sale of sales) {
    let invoice = invoices.get(sale.invoice);
    if (!invoice) {
      invoice = {
        number: sale.invoice,
        cancellation: sale.invoice.startsWith("C"),
        customerId: sale.customer,
        country: sale.country,
        day: sale.time.toISOString().slice(0, 10),
        lines: [],
      };
      invoices.set(sale.invoice, invoice);
    }
    const { stockCode: sku, quantity, unitPrice } = sale;
    invoice.lines.push({ sku, quantity, unitPrice });
  }
  return [...invoices.values()];
}

/** The orders and cancellations of the first so many days of the file. */
export function firstDays(invoices: Invoice[], days: number): Invoice[] {
  const wanted = new Set([...new Set(invoices.map(({ day }) => day))].slice(0, days));
  return invoices.filter(({ day }) => wanted.has(day));
}

/** An amount in billionths, to compare and to add without rounding. */
export function billionths(amount: Amount | undefined): bigint {
  return amount ? amount.units * 1_000_000_000n + BigInt(amount.nanos) : 0n;
}

/** Sum of quantity times price, in billionths. */
export function totalOf(lines: InvoiceLine[]): bigint {
  return lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * billionths(unitPrice), 0n);
}
