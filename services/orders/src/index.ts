import { resolve } from "node:path";

export type { OrdersConfig } from "./config.js";
export { create, type RunningService } from "./create.js";

/** Where the database's schema and migrations are, from the sources as from what is built. */
export const schema = {
  name: "orders",
  schemaPath: resolve(import.meta.dirname, "../prisma/schema.prisma"),
  migrationsPath: resolve(import.meta.dirname, "../prisma/migrations"),
};
