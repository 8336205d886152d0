import { resolve } from "node:path";
import type { SealedColumn } from "@emporium/database";

export type { CheckoutConfig } from "./config.js";
export { faultPoints } from "./fault-points.js";
export { create } from "./create.js";

/** What the database has sealed; the commands that rotate keys read it. */
export const sealedColumns: SealedColumn[] = [
  { table: "checkouts", id: "checkout_id", column: "shipping_address" },
];

/** Where the database's schema and migrations are, from the sources as from what is built. */
export const schema = {
  name: "checkout",
  schemaPath: resolve(import.meta.dirname, "../prisma/schema.prisma"),
  migrationsPath: resolve(import.meta.dirname, "../prisma/migrations"),
};
