import type { Bench, Ratio } from "../ratios.js";
import { report } from "../report.js";
import { connections } from "./connections.js";
import { orderLength } from "./order-length.js";
import { ordersTable } from "./orders-table.js";
import type { Part } from "./parts.js";
import { processes } from "./processes.js";
import { products } from "./products.js";

/** What grows, by the name that `--part` knows. Watchers have a bench of their own. */
const parts: Record<string, Part> = {
  processes,
  connections,
  products,
  "order-length": orderLength,
  "orders-table": ordersTable,
};

/** What each part of the shop costs as it grows: one table for each thing that can. */
export const benchGrowth: Bench = async ({
  quick,
  rounds = quick ? 1 : 3,
  seconds = quick ? 0.3 : 0.5,
  part,
  progress,
}) => {
  const chosen = part === undefined ? Object.keys(parts) : [part];
  const ratios: Record<string, Ratio> = {};
  const tables: Awaited<ReturnType<Part>>["table"][] = [];
  for (const name of chosen) {
    const run = parts[name];
    if (!run) throw new Error(`There is no part ${name}: ${Object.keys(parts).join(", ")}`);
    const found = await run({ quick, rounds, milliseconds: seconds * 1000, progress });
    Object.assign(ratios, found.ratios);
    tables.push(found.table);
  }
  return report({ tables, ratios });
};
