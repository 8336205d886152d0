import { newId } from "@emporium/runtime";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

/* Replicas on machines whose clocks differ: rules that they share go by the clock of Postgres. */

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let client: InventoryClient;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  client = await warehouse.open({ clock: undefined });
  await stockUp(client, { A: 10 });
});
afterEach(() => void vi.useRealTimers());
afterAll(() => stack.disposeAsync());

async function reserveOne(): Promise<string> {
  const reservationId = newId("rsv");
  await client.reserveStock({ reservationId, lines: [{ sku: "A", quantity: 1n }] });
  return reservationId;
}

async function stateOf(id: string) {
  return (await warehouse.database.prisma.reservation.findUnique({ where: { id } }))?.state;
}

test("a replica whose clock is 16 minutes ahead lets no reservation expire before its time", async () => {
  const [held, due] = [await reserveOne(), await reserveOne()];
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 16 * 60_000 });
  await warehouse.open({ sweepIntervalMs: 20, clock: undefined });
  await warehouse.database.query(
    undefined,
    "UPDATE reservation SET expire_time = now() - interval '1 ms' WHERE id = $1",
    [due],
  );
  await expect.poll(() => stateOf(due), { timeout: 5_000 }).toBe("EXPIRED");
  expect(await stateOf(held)).toBe("HELD");
});

test("a replica whose clock is a day behind still lets reservations expire in time", async () => {
  const due = await reserveOne();
  await warehouse.database.query(
    undefined,
    "UPDATE reservation SET expire_time = now() - interval '1 ms' WHERE id = $1",
    [due],
  );
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 24 * 60 * 60_000 });
  await warehouse.open({ sweepIntervalMs: 20, clock: undefined });
  await expect.poll(() => stateOf(due), { timeout: 5_000 }).toBe("EXPIRED");
});
