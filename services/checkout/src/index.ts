import { resolve } from "node:path";

export type { CheckoutConfig } from "./config.js";
export { create } from "./create.js";

/** Where the database's schema and migrations are, from the sources as from what is built. */
export const schema = {
  name: "checkout",
  schemaPath: resolve(import.meta.dirname, "../prisma/schema.prisma"),
  migrationsPath: resolve(import.meta.dirname, "../prisma/migrations"),
};
