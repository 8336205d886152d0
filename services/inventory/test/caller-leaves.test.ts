import { afterAll, beforeAll, expect, test } from "vitest";
import { stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let client: InventoryClient;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  client = await warehouse.open();
  await stockUp(client, { A: 1 });
});
afterAll(() => stack.disposeAsync());

/** How many statements of the service wait for a lock. */
async function waiting(): Promise<number> {
  const rows = await warehouse.database.query(
    undefined,
    `SELECT FROM pg_stat_activity WHERE datname = current_database()
       AND application_name = 'inventory' AND wait_event_type = 'Lock'`,
  );
  return rows.length;
}

const calls: [string, (signal: AbortSignal) => Promise<unknown>][] = [
  ["ListProducts", (signal) => client.listProducts({}, { signal })],
  ["GetProduct", (signal) => client.getProduct({ sku: "A" }, { signal })],
  ["CheckStock", (signal) => client.checkStock({ skus: ["A"] }, { signal })],
];

test.for(calls)("the statement of %s ends when its caller leaves", async ([, call]) => {
  const caller = new AbortController();
  await warehouse.database.transaction(undefined, async (tx) => {
    await tx.query("LOCK TABLE product IN ACCESS EXCLUSIVE MODE");
    const ended = call(caller.signal).catch(() => "left");
    await expect.poll(waiting, { interval: 10, timeout: 5_000 }).toBeGreaterThan(0);
    caller.abort();
    expect(await ended).toBe("left");
    // The table is still locked, so only a cancelled statement waits no more.
    await expect.poll(waiting, { interval: 10, timeout: 5_000 }).toBe(0);
  });
});
