import { ReservationState } from "@emporium/contracts/inventory/v1";
import { reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { levelsOf, stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let replicas: [InventoryClient, InventoryClient];

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  replicas = [await warehouse.open(), await warehouse.open()];
});
afterAll(() => stack.disposeAsync());

const replicaOf = (buyer: number) => replicas[buyer % 2] as InventoryClient;

/** Reserves; `undefined` where there was too little. Any other failure is the test's. */
async function reserve(buyer: number, lines: [sku: string, quantity: number][]) {
  const reservationId = newId("rsv");
  try {
    await replicaOf(buyer).reserveStock({
      reservationId,
      lines: lines.map(([sku, quantity]) => ({ sku, quantity: BigInt(quantity) })),
    });
    return reservationId;
  } catch (error) {
    if (reasonOf(error)?.reason === "OUT_OF_STOCK") return undefined;
    throw error;
  }
}

test("64 buyers of 40 units at two replicas get exactly 40, and 24 are told that none is left", async () => {
  await stockUp(replicas[0], { hot: 40 });
  const buyers = [...Array(64).keys()];
  const reservations = await Promise.all(buyers.map((buyer) => reserve(buyer, [["hot", 1]])));
  const held = reservations.filter((id) => id !== undefined);
  expect(held).toHaveLength(40);
  expect(await levelsOf(replicas[0], ["hot"])).toEqual([[40, 40]]);
  await Promise.all(
    held.map((reservationId, buyer) => replicaOf(buyer).commitReservation({ reservationId })),
  );
  expect(await levelsOf(replicas[0], ["hot"])).toEqual([[0, 0]]);
});

test("orders of many products in opposite order lose and deadlock nothing", async () => {
  const skus = ["x1", "x2", "x3", "x4", "x5"];
  await stockUp(replicas[0], Object.fromEntries(skus.map((sku) => [sku, 30])));
  const outcomes = await Promise.all(
    [...Array(96).keys()].map(async (buyer) => {
      const wanted = skus.filter((_, index) => (buyer >> index) & 1 || index === buyer % 5);
      if (buyer % 2) wanted.reverse();
      const reservationId = await reserve(
        buyer,
        wanted.map((sku) => [sku, 1 + (buyer % 3)]),
      );
      if (!reservationId) return [];
      // a third sell, a third give back, a third stay
      if (buyer % 3 === 0) await replicaOf(buyer).commitReservation({ reservationId });
      if (buyer % 3 === 1) await replicaOf(buyer).releaseReservation({ reservationId });
      return wanted.map((sku) => ({ sku, quantity: 1 + (buyer % 3), end: buyer % 3 }));
    }),
  );
  const levels = await levelsOf(replicas[0], skus);
  const units = (sku: string, end: number) =>
    outcomes
      .flat()
      .filter((line) => line.sku === sku && line.end === end)
      .reduce((sum, { quantity }) => sum + quantity, 0);
  expect(levels).toEqual(skus.map((sku) => [30 - units(sku, 0), units(sku, 2)]));
});

test("the same reservation asked for many times at once at two replicas is made once", async () => {
  await stockUp(replicas[0], { once: 10 });
  const reservationId = newId("rsv");
  const lines = [{ sku: "once", quantity: 3n }];
  const answers = await Promise.all(
    [...Array(16).keys()].map((buyer) => replicaOf(buyer).reserveStock({ reservationId, lines })),
  );
  for (const { reservation } of answers) expect(reservation).toEqual(answers[0]?.reservation);
  expect(await levelsOf(replicas[0], ["once"])).toEqual([[10, 3]]);
});

test("a reservation that meets its own release is held and released, or never made", async () => {
  await stockUp(replicas[0], { race: 100 });
  await Promise.all(
    [...Array(24).keys()].map(async (buyer) => {
      const reservationId = newId("rsv");
      const lines = [{ sku: "race", quantity: 1n }];
      const [reserved, { reservation }] = await Promise.all([
        replicaOf(buyer)
          .reserveStock({ reservationId, lines })
          .catch((error: unknown) => reasonOf(error)?.reason),
        replicaOf(buyer + 1).releaseReservation({ reservationId }),
      ]);
      expect(reservation?.state).toBe(ReservationState.RELEASED);
      if (reservation?.lines.length === 0) expect(reserved).toBe("RESERVATION_NOT_HELD");
    }),
  );
  expect(await levelsOf(replicas[0], ["race"])).toEqual([[100, 0]]);
});
