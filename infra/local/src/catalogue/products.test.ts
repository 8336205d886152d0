import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { projectDirectory } from "../project.js";
import { readProducts } from "./products.js";
import { readSales } from "./sales.js";

const HEADER =
  "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "emporium-sales-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function file(lines: string[], name = "sales.csv"): Promise<string> {
  const text = HEADER + lines.map((line) => `${line}\n`).join("");
  await writeFile(join(folder, name), name.endsWith(".gz") ? gzipSync(text) : text);
  return join(folder, name);
}

function sold(code: string, title: string, quantity: number, price: string): string {
  return `536365,${code},"${title}",${quantity},2010-12-01 08:26:00,${price},17850,United Kingdom`;
}

describe("invoice lines", () => {
  test("are read as they stand, from CSV and from CSV.gz", async () => {
    const lines = ['C536365,85123A,"HEART, ""WHITE""",-6,2010-12-01 08:26:00,0.001,,EIRE'];
    for (const name of ["sales.csv", "sales.csv.gz"])
      expect(await Array.fromAsync(readSales(await file(lines, name)))).toEqual([
        {
          line: 2,
          invoice: "C536365",
          stockCode: "85123A",
          description: 'HEART, "WHITE"',
          quantity: -6n,
          time: new Date("2010-12-01T08:26:00Z"),
          unitPrice: { units: 0n, nanos: 1_000_000 },
          customer: "",
          country: "EIRE",
        },
      ]);
  });

  test.each([
    ["quantity", sold("85123A", "", 1.5, "1"), 'line 3: Quantity is "1.5"'],
    ["price", sold("85123A", "", 1, "1;5"), 'line 3: UnitPrice is "1;5"'],
    ["number of fields", "536365,85123A", "Invalid Record Length"],
  ])("with a wrong %s are named by file and line", async (_, wrong, message) => {
    const path = await file([sold("85123A", "HEART", 1, "1"), wrong]);
    const reading = Array.fromAsync(readSales(path));
    await expect(reading).rejects.toThrow(`${path}: `);
    await expect(reading).rejects.toThrow(message);
  });

  test("need all columns", async () => {
    const path = join(folder, "other.csv");
    await writeFile(path, "InvoiceNo,StockCode,Description\n1,2,3\n");
    await expect(Array.fromAsync(readSales(path))).rejects.toThrow(
      `${path}: there is no column Quantity, InvoiceDate, UnitPrice, CustomerID, Country`,
    );
  });

  test("of a file that is not there are an error", async () => {
    await expect(Array.fromAsync(readSales(join(folder, "no.csv.gz")))).rejects.toThrow(/ENOENT/);
  });
});

describe("the catalogue", () => {
  test("has the most frequent title, the median price, and what was sold", async () => {
    const path = await file([
      sold("85123A", "WHITE HEART", 6, "2.55"),
      sold("85123A", "CREAM HEART ", 2, "2.95"),
      sold("85123A", "CREAM HEART", -1, "9.0"),
      sold("85123A", "damaged", 1, "0.0"),
      sold("85123A", "", 1, "2.10"),
    ]);
    expect(await readProducts(readSales(path))).toEqual([
      { sku: "85123A", title: "CREAM HEART", listPrice: 255n, unitsSold: 9n },
    ]);
  });

  test("leaves out what is no product or has no price", async () => {
    const path = await file([
      ...["POST", "D", "C2", "DOT", "M", "m", "S", "BANK CHARGES", "AMAZONFEE"].map((code) =>
        sold(code, "no product", 1, "5.00"),
      ),
      sold("21134", "lost", 1, "0.0"),
      sold("21135", "finer than a penny", 1, "0.001"),
      sold("85123a", "lower case", 1, "1.00"),
      sold("DCGS0076", "SUNJAR", 1, "16.13"),
      sold("gift_0001_40", "VOUCHER", 1, "34.00"),
    ]);
    const skus = (await readProducts(readSales(path))).map(({ sku }) => sku);
    expect(skus).toEqual(["85123a", "DCGS0076", "gift_0001_40"]);
  });

  test("of the real orders has their 2,790 products", async () => {
    const real = join(projectDirectory, "data/online-retail-2010-12.csv.gz");
    const products = await readProducts(readSales(real));
    expect(products).toHaveLength(2790);
    const units = products.reduce((sum, { unitsSold }) => sum + unitsSold, 0n);
    expect(units).toBe(358_751n);
    expect(products.find(({ sku }) => sku === "85123A")).toEqual({
      sku: "85123A",
      title: "WHITE HANGING HEART T-LIGHT HOLDER",
      listPrice: 295n,
      unitsSold: 3_752n,
    });
  });
});
