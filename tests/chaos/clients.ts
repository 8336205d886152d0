import { setTimeout as wait } from "node:timers/promises";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { reasonOf } from "@emporium/grpc";
import type { Shop } from "@emporium/local";

/** Whose certificate and token the calls carry: one that may buy for anybody. */
export const CALLER = { as: "chaos", by: "replay" } as const;

/** The services, as a customer's program calls them. */
export type Clients = Awaited<ReturnType<typeof openClients>>;

export async function openClients(shop: Shop) {
  const inventory = await shop.client(InventoryService, CALLER);
  const orders = await shop.client(OrderService, CALLER);
  const checkout = await shop.client(CheckoutService, CALLER);
  return {
    inventory,
    orders,
    checkout,
    [Symbol.dispose]() {
      for (const client of [inventory, orders, checkout]) client[Symbol.dispose]();
    },
  };
}

/** A no of the shop's rules; anything else leaves open what happened, and is asked for again. */
const ANSWERS = new Set([
  "OUT_OF_STOCK",
  "PAYMENT_DECLINED",
  "PAYMENT_UNAVAILABLE",
  "RESERVATION_EXPIRED",
  "CHECKOUT_MISMATCH",
  "ORDER_NOT_FOUND",
]);

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [50, 1_000];

/**
 * Asks until the answer is known, as every caller of an idempotent method may: rejects with a no of
 * the shop, or when the signal fires, then with the last trouble.
 */
export async function untilAnswered<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await call();
    } catch (error) {
      const reason = reasonOf(error)?.reason;
      if ((reason && ANSWERS.has(reason)) || signal.aborted) throw error;
    }
    await wait(pauseMs);
  }
}
