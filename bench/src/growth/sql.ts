import type { Infrastructure } from "@emporium/local";
import { Client } from "pg";

/** The address of a database for the superuser, who may do more than its owner. */
export function superuserUrl({ postgres }: Infrastructure, databaseUrl: string): string {
  const url = new URL(postgres.databases.url("postgres"));
  url.pathname = new URL(databaseUrl).pathname;
  return url.href;
}

/** Does some work on a connection of its own. */
export async function withClient<Done>(
  url: string,
  work: (client: Client) => Promise<Done>,
): Promise<Done> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
