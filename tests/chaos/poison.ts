import { OrderCancelledSchema } from "@emporium/contracts/orders/v1";
import { Client } from "pg";

/** Publishes an event of orders that nobody can read; its relay finds it by itself. */
export async function emitPoison(ordersDatabaseUrl: string): Promise<void> {
  const client = new Client({ connectionString: ordersDatabaseUrl });
  await client.connect();
  try {
    await client.query(
      `INSERT INTO outbox (id, aggregate_type, aggregate_id, version, type, payload)
       VALUES (gen_random_uuid(), 'poison', gen_random_uuid()::text, 1, $1, '\\xffff')`,
      [OrderCancelledSchema.typeName],
    );
  } finally {
    await client.end();
  }
}
