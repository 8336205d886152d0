import { ReservationState } from "@emporium/contracts/inventory/v1";
import { reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { levelsOf, stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

/* A replica decides on what it remembers; here somebody else has always written meanwhile. */

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let replica: InventoryClient;
let other: InventoryClient;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  replica = await warehouse.open();
  other = await warehouse.open();
});
afterAll(() => stack.disposeAsync());

async function reserve(at: InventoryClient, sku: string, quantity: bigint, id = newId("rsv")) {
  const { reservation } = await at.reserveStock({ reservationId: id, lines: [{ sku, quantity }] });
  return reservation!;
}

const reasonFor = (call: Promise<unknown>) =>
  call.then(
    () => "it worked",
    (error: unknown) => reasonOf(error)?.reason,
  );

test("what another replica has taken is not promised again", async () => {
  await stockUp(replica, { taken: 10 });
  await reserve(replica, "taken", 1n);
  await reserve(other, "taken", 9n);
  expect(await reasonFor(reserve(replica, "taken", 1n))).toBe("OUT_OF_STOCK");
  expect(await levelsOf(replica, ["taken"])).toEqual([[10, 10]]);
});

test("what another replica has given back can be had, also where it was known to be gone", async () => {
  await stockUp(replica, { back: 1 });
  const { reservationId } = await reserve(replica, "back", 1n);
  expect(await reasonFor(reserve(replica, "back", 1n))).toBe("OUT_OF_STOCK");
  await other.releaseReservation({ reservationId });
  expect((await reserve(replica, "back", 1n)).state).toBe(ReservationState.HELD);
});

test("a reservation that another replica has released cannot be sold", async () => {
  await stockUp(replica, { released: 5 });
  const { reservationId } = await reserve(replica, "released", 5n);
  await other.releaseReservation({ reservationId });
  expect(await reasonFor(replica.commitReservation({ reservationId }))).toBe(
    "RESERVATION_NOT_HELD",
  );
  expect(await levelsOf(replica, ["released"])).toEqual([[5, 0]]);
});

test("an id that another replica has used stands for what it was used for", async () => {
  await stockUp(replica, { used: 5 });
  const { reservationId } = await reserve(other, "used", 2n);
  expect(await reserve(replica, "used", 2n, reservationId)).toMatchObject({ reservationId });
  expect(await reasonFor(reserve(replica, "used", 3n, reservationId))).toBe("RESERVATION_MISMATCH");
  const lines = [{ sku: "unknown", quantity: 1n }];
  const unknown = replica.reserveStock({ reservationId, lines });
  expect(await reasonFor(unknown)).toBe("RESERVATION_MISMATCH");
  expect(await levelsOf(replica, ["used"])).toEqual([[5, 2]]);
});

test("a level is compared whole: a database that was set back has its revisions twice", async () => {
  await stockUp(replica, { restored: 10 });
  await reserve(replica, "restored", 1n);
  await warehouse.database.prisma.product.update({
    where: { sku: "restored" },
    data: { onHand: 3, reserved: 3 },
  });
  expect(await reasonFor(reserve(replica, "restored", 1n))).toBe("OUT_OF_STOCK");
  expect(await levelsOf(replica, ["restored"])).toEqual([[3, 3]]);
});

test("each change of a level has a revision of its own, whoever made it", async () => {
  await stockUp(replica, { revised: 1_000 });
  const buyers = Array.from({ length: 60 }, (_, buyer) => (buyer % 3 ? replica : other));
  await Promise.all(buyers.map((at) => reserve(at, "revised", 1n)));
  const { items } = await replica.checkStock({ skus: ["revised"] });
  // One came with the units, one with each buyer.
  expect(items[0]?.level).toMatchObject({ reserved: 60n, revision: 61n });
});

test("what another replica holds is sold here, where its level is remembered from before", async () => {
  await stockUp(replica, { sold: 5 });
  await reserve(replica, "sold", 1n);
  const { reservationId } = await reserve(other, "sold", 4n);
  const { reservation } = await replica.commitReservation({ reservationId });
  expect(reservation?.state).toBe(ReservationState.COMMITTED);
  expect(await levelsOf(replica, ["sold"])).toEqual([[1, 1]]);
});
