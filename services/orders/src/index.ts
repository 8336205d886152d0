import { resolve } from "node:path";
import type { SealedColumn } from "@emporium/database";

export type { OrdersConfig } from "./config.js";
export { faultPoints } from "./fault-points.js";
export { create } from "./create.js";

/** What the database has sealed; the commands that rotate keys read it. */
export const sealedColumns: SealedColumn[] = [
  { table: "orders", id: "order_id", column: "sealed_address", plain: "shipping_address" },
];

/** Where the database's schema and migrations are, from the sources as from what is built. */
export const schema = {
  name: "orders",
  schemaPath: resolve(import.meta.dirname, "../prisma/schema.prisma"),
  migrationsPath: resolve(import.meta.dirname, "../prisma/migrations"),
};
