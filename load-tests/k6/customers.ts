import { StatusAborted, StatusFailedPrecondition } from "k6/net/grpc";
import { sleep } from "k6";
import { anyBasket } from "./baskets.ts";
import { newId } from "./ids.ts";
import { call } from "./shop.ts";

interface Bought {
  checkout: { orderId: string };
}

/** Share of the real month's orders of which something came back: 326 of 1,699. */
const RETURNED = 326 / 1699;

/** Looks at a page of the catalogue, at the first product of a basket, and whether all is there. */
export function browse(): void {
  const { lines } = anyBasket();
  call("inventory", "ListProducts", { pageSize: 50 });
  call("inventory", "GetProduct", { sku: lines[0]!.sku });
  call("inventory", "CheckStock", { skus: distinct(lines.map(({ sku }) => sku)).slice(0, 100) });
}

/** Buys one of the real orders, looks at it, and sends back as often as customers did. */
export function buy(): void {
  const { customerId, lines } = anyBasket();
  const bought = call<Bought>("checkout", "CompleteOrder", {
    checkoutId: newId("chk"),
    customerId,
    cart: { lines },
    paymentToken: "tok_approve",
  });
  if (!bought) return;
  const { orderId } = bought.checkout;
  call("orders", "GetOrder", { orderId });
  if (Math.random() < RETURNED)
    call("orders", "CancelOrder", { orderId, reason: "CANCEL_REASON_CUSTOMER_REQUEST" });
}

/** Wants one piece of the one product that all want; that it is gone is an answer. */
export function grab(sku: string): void {
  call(
    "checkout",
    "CompleteOrder",
    {
      checkoutId: newId("chk"),
      customerId: `buyer-${__VU}`,
      cart: { lines: [{ sku, quantity: "1" }] },
      paymentToken: "tok_approve",
    },
    { codes: [StatusFailedPrecondition, StatusAborted] },
  );
}

/** What a customer of the December mix does in one visit: three of four only look. */
export function visit(): void {
  browse();
  if (Math.random() < 0.25) buy();
}

/** The same again and again: what a shop is warmed up with. */
export function warmUp(): void {
  visit();
  pause();
}

/** Half a second in the mean, so that somebody who is refused does not ask again at once. */
export function pause(): void {
  sleep(Math.random());
}

function distinct(values: string[]): string[] {
  return [...new Set(values)];
}
