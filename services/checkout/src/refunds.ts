import type { ItemsReturned, OrderCancelled } from "@emporium/contracts/orders/v1";
import { Inject, Injectable } from "@nestjs/common";
import { type Settings, SETTINGS } from "./config.js";
import { paymentIdOf } from "./ids.js";
import { toMinorUnits } from "./money.js";
import {
  PAYMENT_PROVIDER,
  type PaymentProvider,
  type RefundRequest,
} from "./payment/payment-provider.js";

/**
 * Pays back what is due for cancelled and returned goods. Whether there is money to pay back is what
 * the payment says, and never the reason of a cancellation: one that was voided has none. Each refund
 * has the id of what it is for, so an event that comes twice pays once. While a payment is not
 * captured yet the provider refuses, and the event comes again later.
 */
@Injectable()
export class Refunds {
  constructor(
    @Inject(PAYMENT_PROVIDER) private readonly payments: PaymentProvider,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** Pays back what is left of the order's total. */
  async orderCancelled({ order }: OrderCancelled): Promise<void> {
    if (!order?.total) return;
    const refunded = order.refunded ? toMinorUnits(order.refunded) : 0n;
    const amount = toMinorUnits(order.total) - refunded;
    if (amount <= 0n || order.checkoutId === "") return;
    const paymentId = paymentIdOf(order.checkoutId);
    const currency = order.total.currencyCode;
    await this.#refund({ paymentId, refundId: order.orderId, amount, currency });
  }

  /** The return's refund goes back; where the purchase is not known, as a payment of its own. */
  async itemsReturned(event: ItemsReturned): Promise<void> {
    const { returnId: refundId = "", refund } = event.return ?? {};
    const amount = refund ? toMinorUnits(refund) : 0n;
    if (!refund || amount <= 0n) return;
    const paymentId = event.checkoutId ? paymentIdOf(event.checkoutId) : refundId;
    const currency = refund.currencyCode;
    await this.#refund({ paymentId, refundId, amount, currency });
  }

  async #refund(refund: RefundRequest): Promise<void> {
    await this.payments.refund(refund, AbortSignal.timeout(this.settings.saga.callMs));
  }
}
