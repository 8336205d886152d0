/*
 * A checkout's reservation, order and payment have its own id under their own prefix: whoever runs
 * the checkout again asks for the same things again.
 */

export function reservationIdOf(checkoutId: string): string {
  return derived("rsv", checkoutId);
}

export function orderIdOf(checkoutId: string): string {
  return derived("ord", checkoutId);
}

export function paymentIdOf(checkoutId: string): string {
  return derived("pay", checkoutId);
}

/** `chk_01jd…` to `pay_01jd…`: all prefixes have three letters. */
function derived(prefix: string, checkoutId: string): string {
  return `${prefix}${checkoutId.slice(3)}`;
}
