import { Database } from "@emporium/database";
import { PrismaClient } from "../../services/orders/src/generated/prisma/client.ts";

/** Opens a database of orders, to write events as a service with another contract would. */
export function openOrdersDatabase(url: string): Promise<Database<PrismaClient>> {
  return Database.open<PrismaClient>({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "evolution",
    poolSize: 4,
  });
}
