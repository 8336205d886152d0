import { CheckoutState } from "@emporium/contracts/checkout/v1";
import { newId } from "@emporium/runtime";
import type { Clients } from "./clients.js";

/** Lines of a cart: a T-light holder, of which there are thousands. */
const LINES = [{ sku: "85123A", quantity: 1n }];

/** Buys something; returns the order's id. Rejects where the checkout does not complete. */
export async function purchase({ checkout }: Clients): Promise<string> {
  const { checkout: done } = await checkout.completeOrder({
    checkoutId: newId("chk"),
    customerId: "demo",
    basket: { case: "cart", value: { lines: LINES } },
    paymentToken: "tok_approve",
  });
  if (done?.state !== CheckoutState.COMPLETED)
    throw new Error(`The checkout is ${CheckoutState[done?.state ?? 0]}`);
  return done.orderId;
}

/** Units of the product that are there. */
export async function unitsOnHand({ inventory }: Clients): Promise<bigint> {
  const { items } = await inventory.checkStock({ skus: LINES.map(({ sku }) => sku) });
  return items[0]?.level?.onHand ?? 0n;
}
