import { resolve } from "node:path";
import { migrate } from "./migrate.js";

/**
 * The migrations of the service in whose folder it is started, as a program that ends: what runs
 * before a new release. `DATABASE_URL` names the role that owns the tables, which a service that
 * runs has no need of.
 *
 *     cd services/orders && node ../../packages/database/dist/migrate-command.js
 */
const url = process.env["DATABASE_URL"];
if (!url) {
  process.stderr.write("DATABASE_URL is not set: a postgresql:// URL\n");
  process.exit(1);
}
const applied = await migrate({
  url,
  schema: resolve("prisma/schema.prisma"),
  migrations: resolve("prisma/migrations"),
});
process.stdout.write(`Applied ${applied.length} migrations\n`);
for (const name of applied) process.stdout.write(`  ${name}\n`);
