import { join } from "node:path";

export type { InventoryConfig } from "./config.js";
export { faultPoints } from "./fault-points.js";
export { create } from "./create.js";

const prisma = join(import.meta.dirname, "../prisma");

/** Where the tables of this service are described, for whoever sets up its database. */
export const schema = {
  name: "inventory",
  schemaPath: join(prisma, "schema.prisma"),
  migrationsPath: join(prisma, "migrations"),
};
