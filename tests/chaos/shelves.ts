import { InventoryService } from "@emporium/contracts/inventory/v1";
import { type Shop, stockShop } from "@emporium/local";
import { newId } from "@emporium/runtime";
import { CALLER, untilAnswered } from "./clients.ts";
import { firstViolation } from "./history.ts";
import type { Seen, Shelf } from "./workload.ts";

/**
 * What processes are started with: times shorter than usual, so that leases and reservations run out
 * within a run, and a slow payment that takes longer than its stock is held.
 */
export const TIMES = {
  SAGA_LEASE_MS: "1500",
  SAGA_TAKEOVER_MS: "300",
  SAGA_CALL_MS: "1500",
  PAYMENT_SLOW_MS: "5500",
  RESERVATION_TTL_MS: "5000",
  SWEEP_INTERVAL_MS: "500",
};

export const SHELF: Shelf = {
  hot: "HOT",
  others: Array.from({ length: 45 }, (_, index) => `P${index}`),
  returned: Array.from({ length: 5 }, (_, index) => `R${index}`),
};

const PLENTY = 10_000;

/** Units at the beginning: of the hot product too few, of every third one hardly enough. */
const UNITS = new Map([
  [SHELF.hot, 150],
  ...SHELF.others.map((sku, index) => [sku, index % 3 === 0 ? 15 : PLENTY] as const),
  ...SHELF.returned.map((sku) => [sku, PLENTY] as const),
]);

/** Puts everything on the shelves, also of an inventory that dies meanwhile. */
export async function fillShelves(shop: Shop, patience: AbortSignal): Promise<void> {
  const products = [...UNITS].map(([sku, units]) => ({
    sku,
    title: sku,
    listPrice: 250n,
    unitsSold: 0n,
    units: BigInt(units),
  }));
  using inventory = await shop.client(InventoryService, CALLER);
  const delivery = { inventory, importId: newId("imp"), currency: "GBP", products };
  await untilAnswered(patience, () => stockShop(delivery));
}

/** The first call about each product that no order explains. */
export function findViolations({ operations }: Seen): string[] {
  return [...operations].flatMap(([sku, calls]) => {
    const violation = firstViolation({ onHand: UNITS.get(sku)!, reserved: 0 }, calls);
    return violation ? [`no order explains: ${violation.what}`] : [];
  });
}
