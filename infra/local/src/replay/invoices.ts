import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MoneySchema } from "@emporium/contracts/google/type";

/** A line of the file, as it stands there. */
export interface Row {
  InvoiceNo: string;
  StockCode: string;
  Description: string;
  Quantity: string;
  InvoiceDate: string;
  UnitPrice: string;
  CustomerID: string;
  Country: string;
}

/** A line of an invoice: nothing is mended, only put into the contract's types. */
export interface InvoiceLine {
  sku: string;
  title: string;
  quantity: bigint;
  unitPrice: MessageInitShape<typeof MoneySchema>;
  /** Price of one unit in ten-thousandths, to compare and to sum without rounding. */
  price: bigint;
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
  /** What could not even be put into the contract's types. */
  unreadable: string | undefined;
}

/** Rows that belong together, in the order of the file. */
export function toInvoices(rows: Iterable<Row>): Invoice[] {
  const invoices = new Map<string, Invoice>();
  for (const row of rows) {
    let invoice = invoices.get(row.InvoiceNo);
    if (!invoice) {
      invoice = {
        number: row.InvoiceNo,
        cancellation: row.InvoiceNo.startsWith("C"),
        customerId: row.CustomerID,
        country: row.Country,
        day: row.InvoiceDate.slice(0, 10),
        lines: [],
        unreadable: undefined,
      };
      invoices.set(row.InvoiceNo, invoice);
    }
    const line = toLine(row);
    if (typeof line === "string") invoice.unreadable ??= line;
    else invoice.lines.push(line);
  }
  return [...invoices.values()];
}

/** The orders and cancellations of the first so many days of the file. */
export function firstDays(invoices: Invoice[], days: number): Invoice[] {
  const wanted = new Set([...new Set(invoices.map(({ day }) => day))].slice(0, days));
  return invoices.filter(({ day }) => wanted.has(day));
}

/** Ten-thousandths in a whole unit. */
export const PARTS = 10_000n;

function toLine(row: Row): InvoiceLine | string {
  if (!/^-?\d{1,15}$/.test(row.Quantity)) return `quantity ${JSON.stringify(row.Quantity)}`;
  const price = /^(-?)(\d{1,12})(?:\.(\d{1,4}))?$/.exec(row.UnitPrice);
  if (!price) return `unit price ${JSON.stringify(row.UnitPrice)}`;
  const [, sign, whole = "", decimals = ""] = price;
  const parts = BigInt(whole) * PARTS + BigInt(decimals.padEnd(4, "0"));
  const signed = sign ? -parts : parts;
  return {
    sku: row.StockCode,
    title: row.Description,
    quantity: BigInt(row.Quantity),
    unitPrice: {
      currencyCode: "GBP",
      units: signed / PARTS,
      nanos: Number(signed % PARTS) * 100_000,
    },
    price: signed,
  };
}

/** What an amount of the contract is in ten-thousandths. */
export function inParts(money: { units: bigint; nanos: number } | undefined): bigint {
  return money ? money.units * PARTS + BigInt(Math.round(money.nanos / 100_000)) : 0n;
}

/** Sum of quantity times price, in ten-thousandths. */
export function totalOf(lines: { quantity: bigint; price: bigint }[]): bigint {
  return lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0n);
}
