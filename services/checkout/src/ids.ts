import { relatedId } from "@emporium/runtime";

/*
 * A checkout's reservation, order and payment have its own id under their own prefix: whoever runs
 * the checkout again asks for the same things again.
 */

export const reservationIdOf = (checkoutId: string) => relatedId("rsv", checkoutId);

export const orderIdOf = (checkoutId: string) => relatedId("ord", checkoutId);

export const paymentIdOf = (checkoutId: string) => relatedId("pay", checkoutId);
