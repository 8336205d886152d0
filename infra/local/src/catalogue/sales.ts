import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { parse } from "csv-parse";

/** One line of an invoice in the form of the Online Retail data set, as it stands there. */
export interface SaleLine {
  /** Its line in the file; the first after the header is 2. */
  line: number;
  /** A cancellation's begins with `C`. */
  invoice: string;
  stockCode: string;
  description: string;
  /** Units; below zero where goods came back. */
  quantity: bigint;
  time: Date;
  /** As in `google.type.Money`; no rounding, whatever the file says. */
  unitPrice: { units: bigint; nanos: number };
  /** Empty for a guest. */
  customer: string;
  country: string;
}

const COLUMNS = [
  "InvoiceNo",
  "StockCode",
  "Description",
  "Quantity",
  "InvoiceDate",
  "UnitPrice",
  "CustomerID",
  "Country",
] as const;

type Row = Record<(typeof COLUMNS)[number], string>;

/**
 * Reads invoice lines from a CSV or CSV.gz file, one at a time. Times are taken as UTC. Throws an
 * `Error` that names file and line where a line cannot be read; dirty values that can be read (prices
 * of zero, returns without an order) pass as they are.
 *
 * @example
 * for await (const sale of readSales("data/online-retail-2010-12.csv.gz")) count(sale.quantity);
 */
export async function* readSales(path: string): AsyncGenerator<SaleLine> {
  const rows = parse({ bom: true, info: true, columns: (header: string[]) => checked(header) });
  const file = createReadStream(path);
  const reading = path.endsWith(".gz")
    ? pipeline(file, createGunzip(), rows)
    : pipeline(file, rows);
  // Told below, by the iteration.
  reading.catch(() => undefined);
  try {
    for await (const { record, info } of rows as AsyncIterable<{
      record: Row;
      info: { lines: number };
    }>)
      yield toSaleLine(record, info.lines);
  } catch (error) {
    throw error instanceof Error ? new Error(`${path}: ${error.message}`, { cause: error }) : error;
  }
}

function checked(header: string[]): string[] {
  const missing = COLUMNS.filter((column) => !header.includes(column));
  if (missing.length > 0) throw new Error(`there is no column ${missing.join(", ")}`);
  return header;
}

function toSaleLine(row: Row, line: number): SaleLine {
  const wrong = (column: keyof Row, expected: string) =>
    new Error(`line ${line}: ${column} is "${row[column]}", and ${expected} was expected`);
  if (!/^-?\d{1,18}$/.test(row.Quantity)) throw wrong("Quantity", "a whole number");
  const price = /^(-?)(\d{1,15})(?:\.(\d{1,9}))?$/.exec(row.UnitPrice);
  if (!price) throw wrong("UnitPrice", "a decimal number");
  const time = new Date(`${row.InvoiceDate.replace(" ", "T")}Z`);
  if (Number.isNaN(time.getTime())) throw wrong("InvoiceDate", "a time like 2010-12-01 08:26:00");
  const [, sign, units = "", fraction = ""] = price;
  const direction = sign ? -1 : 1;
  return {
    line,
    invoice: row.InvoiceNo,
    stockCode: row.StockCode,
    description: row.Description,
    quantity: BigInt(row.Quantity),
    time,
    unitPrice: {
      units: BigInt(units) * BigInt(direction),
      nanos: Number(fraction.padEnd(9, "0")) * direction,
    },
    customer: row.CustomerID,
    country: row.Country,
  };
}
