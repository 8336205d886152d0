import { newId } from "@emporium/runtime";
import { euros, type Provocation, type ReasonShop, UNKNOWN } from "./shop.js";

const HOUR_MS = 3_600_000;

async function reserved(shop: ReasonShop) {
  const sku = await shop.stocked(5n);
  const request = { reservationId: newId("rsv"), lines: [{ sku, quantity: 2n }] };
  await shop.inventory.reserveStock(request);
  return request;
}

async function released(shop: ReasonShop) {
  const request = await reserved(shop);
  await shop.inventory.releaseReservation(request);
  return request;
}

async function* counts() {
  yield { sku: UNKNOWN, counted: 1n };
}

/** How a caller meets each reason that inventory's methods declare. */
export const inventory: Record<string, Provocation> = {
  "GetProduct PRODUCT_NOT_FOUND": (shop) => shop.inventory.getProduct({ sku: UNKNOWN }),

  "UpdateProduct INVALID_UPDATE_MASK": async (shop) =>
    shop.inventory.updateProduct({
      product: { sku: await shop.stocked(1n) },
      updateMask: { paths: ["sku"] },
    }),
  "UpdateProduct WRONG_CURRENCY": async (shop) =>
    shop.inventory.updateProduct({
      product: { sku: await shop.stocked(1n), unitPrice: euros(3n) },
    }),
  "UpdateProduct PRODUCT_NOT_FOUND": (shop) =>
    shop.inventory.updateProduct({ product: { sku: UNKNOWN, title: "LAMP" } }),

  "CheckStock PRODUCT_NOT_FOUND": (shop) => shop.inventory.checkStock({ skus: [UNKNOWN] }),

  "ReserveStock RESERVATION_MISMATCH": async (shop) => {
    const { reservationId, lines } = await reserved(shop);
    return shop.inventory.reserveStock({
      reservationId,
      lines: lines.map(({ sku }) => ({ sku, quantity: 1n })),
    });
  },
  "ReserveStock RESERVATION_NOT_HELD": async (shop) => {
    const reservationId = newId("rsv");
    const lines = [{ sku: await shop.stocked(1n), quantity: 1n }];
    await shop.inventory.releaseReservation({ reservationId });
    return shop.inventory.reserveStock({ reservationId, lines });
  },
  "ReserveStock PRODUCT_NOT_FOUND": (shop) =>
    shop.inventory.reserveStock({
      reservationId: newId("rsv"),
      lines: [{ sku: UNKNOWN, quantity: 1n }],
    }),
  "ReserveStock OUT_OF_STOCK": async (shop) =>
    shop.inventory.reserveStock({
      reservationId: newId("rsv"),
      lines: [{ sku: await shop.stocked(1n), quantity: 2n }],
    }),

  "CommitReservation RESERVATION_NOT_FOUND": (shop) =>
    shop.inventory.commitReservation({ reservationId: newId("rsv") }),
  "CommitReservation RESERVATION_NOT_HELD": async (shop) =>
    shop.inventory.commitReservation(await released(shop)),
  "CommitReservation RESERVATION_EXPIRED": async (shop) => {
    const reservation = await reserved(shop);
    shop.inventoryClock.advance(HOUR_MS);
    return shop.inventory.commitReservation(reservation);
  },

  "ReleaseReservation RESERVATION_COMMITTED": async (shop) => {
    const reservation = await reserved(shop);
    await shop.inventory.commitReservation(reservation);
    return shop.inventory.releaseReservation(reservation);
  },

  "WatchStock PRODUCT_NOT_FOUND": (shop) =>
    Array.fromAsync(shop.inventory.watchStock({ skus: [UNKNOWN] })),
  "CountStock PRODUCT_NOT_FOUND": (shop) => Array.fromAsync(shop.inventory.countStock(counts())),
};
