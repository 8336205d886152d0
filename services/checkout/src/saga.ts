import { type InventoryService, ReservationState } from "@emporium/contracts/inventory/v1";
import { CancelReason, type OrderService } from "@emporium/contracts/orders/v2";
import type { DataKeys } from "@emporium/database";
import { type Client, reasonOf } from "@emporium/grpc";
import type { FaultPoint, Logger } from "@emporium/runtime";
import { isAnswer, isNotHeld, isTimeout } from "./answers.js";
import type { CheckoutRow } from "./checkout-row.js";
import type { Deed, FaultPointName } from "./fault-points.js";
import { orderIdOf, paymentIdOf, reservationIdOf } from "./ids.js";
import type { Journal } from "./journal.js";
import { unitsPerSku } from "./lines.js";
import { toMoney } from "./money.js";
import { untilKnown, within } from "./patience.js";
import type { PaymentProvider, PaymentState } from "./payment/payment-provider.js";
import {
  broken,
  outOfStock,
  paymentDeclined,
  paymentUnavailable,
  type Refusal,
  Refused,
  reservationExpired,
} from "./refusals.js";
import { openAddress } from "./sealed-address.js";

/** Whom a saga deals with, and how long it waits for them. */
export interface SagaParties {
  inventory: Client<typeof InventoryService>;
  orders: Client<typeof OrderService>;
  payments: PaymentProvider;
  /** What opens the address. */
  dataKeys: DataKeys;
  /** Milliseconds that one call of a service, or of the provider, may take before it is repeated. */
  callMs: number;
  /** Milliseconds that the provider gets to authorize, all attempts together. */
  authorizeMs: number;
  faultPoint: FaultPoint<FaultPointName>;
  log: Logger;
}

/**
 * One checkout on its way from its row to its end: bought as a whole, or nothing of it left.
 *
 * Everything it does to others is idempotent under an id derived from the checkout's own, and an
 * answer that does not come is asked for again until it is known. So recovery needs no log of steps:
 * whoever takes the checkout over runs it again from the top. What was done before answers as it did,
 * and what was undone answers so too.
 */
export class Saga {
  readonly #checkout: CheckoutRow;
  readonly #reservationId: string;
  readonly #paymentId: string;
  readonly #orderId: string;
  /** An earlier run came as far as selling the stock; from there on there is no way back. */
  #sold = false;

  constructor(
    private readonly parties: SagaParties,
    private readonly journal: Journal,
    /** The token is never stored: after a takeover there is one only if the customer asked again. */
    private readonly paymentToken: () => string | undefined,
    /** Fires when this process drives the checkout no longer; `run` then rejects with its reason. */
    private readonly signal: AbortSignal,
  ) {
    this.#checkout = journal.checkout;
    const { checkoutId } = this.#checkout;
    this.#reservationId = reservationIdOf(checkoutId);
    this.#paymentId = paymentIdOf(checkoutId);
    this.#orderId = orderIdOf(checkoutId);
  }

  /** Resolves when the checkout is COMPLETED or REFUSED, and written as such. */
  async run(): Promise<void> {
    try {
      if (this.#checkout.refusal) throw new Refused(this.#checkout.refusal);
      const nothingHeld = await this.#reserve();
      if (nothingHeld) return await this.#refuse(nothingHeld);
      await this.#authorize();
      await this.#createOrder();
      await this.#commitReservation();
      // From here on it is sold, and what is left is asked for until it is done.
      await this.#capture();
      await this.#pass("complete", () => this.journal.complete());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.#undo(error.refusal);
      await this.#refuse(error.refusal);
    }
  }

  /** A refusal where inventory will never hold the stock; then there is nothing to undo. */
  async #reserve(): Promise<Refusal | undefined> {
    const lines = unitsPerSku(this.#checkout.lines);
    const request = { reservationId: this.#reservationId, lines };
    try {
      const { reservation } = await this.#ask(
        "reserve",
        () => this.parties.inventory.reserveStock(request, this.#call()),
        isAnswer,
      );
      this.#sold = reservation?.state === ReservationState.COMMITTED;
      // Else it was reserved by an earlier run, which came further than this one, and given back.
      if (!this.#sold && reservation?.state !== ReservationState.HELD)
        throw new Refused(reservationExpired(this.#reservationId));
      this.journal.did("STOCK_RESERVED");
      return undefined;
    } catch (error) {
      if (!isAnswer(error)) throw error;
      return reasonOf(error)?.reason === "OUT_OF_STOCK"
        ? outOfStock(error)
        : broken("Inventory refused to reserve", error);
    }
  }

  async #authorize(): Promise<void> {
    const state = (await this.#askForPayment()) ?? (await this.#findPayment());
    if (state === "DECLINED") throw new Refused(paymentDeclined(this.#paymentId));
    if (state === "CLOSED" || state === "VOIDED")
      throw new Refused(paymentUnavailable(this.#paymentId));
    this.journal.did("PAYMENT_AUTHORIZED");
  }

  /** What the provider says; `undefined` where it says nothing in time or cannot be asked. */
  async #askForPayment(): Promise<PaymentState | undefined> {
    const token = this.paymentToken();
    if (token === undefined) return undefined;
    const { total: amount, currency } = this.#checkout;
    const payment = { paymentId: this.#paymentId, token, amount, currency };
    const { payments, authorizeMs, callMs } = this.parties;
    const attempt = (signal: AbortSignal) =>
      within(callMs, signal, (limit) => payments.authorize(payment, limit));
    const tell = this.#tell("authorize");
    try {
      return await this.#pass("authorize", () =>
        within(authorizeMs, this.signal, (signal) =>
          untilKnown({ signal, tell }, () => attempt(signal)),
        ),
      );
    } catch (error) {
      if (!isTimeout(error)) throw error;
      return undefined;
    }
  }

  /**
   * The token is never stored, so after a takeover, as when the time to authorize is over, the
   * provider is asked by the payment's id. Was it authorized, the saga goes on. Was it not, it never
   * will be: the provider closes it in the same act, so that neither an attempt still on its way nor
   * a process that overslept its lease can go on behind our back.
   */
  #findPayment(): Promise<PaymentState> {
    return this.#ask("find-payment", () =>
      this.#pay((signal) => this.parties.payments.findOrClose(this.#paymentId, signal)),
    );
  }

  async #createOrder(): Promise<void> {
    // Orders took it before the stock was sold, so a no to the same order now is a passing fault.
    const isNo = (error: unknown) => !this.#sold && isAnswer(error);
    try {
      await this.#ask("create-order", () => this.#requestOrder(), isNo);
    } catch (error) {
      if (!isNo(error)) throw error;
      throw new Refused(broken("Orders refused the order", error));
    }
    this.journal.did("ORDER_CREATED");
  }

  #requestOrder() {
    const { checkoutId, customerId, lines, currency, shippingAddress } = this.#checkout;
    return this.parties.orders.createOrder(
      {
        orderId: this.#orderId,
        checkoutId,
        customerId,
        lines: lines.map((line) => ({ ...line, unitPrice: toMoney(line.unitPrice, currency) })),
        ...(shippingAddress && {
          shippingAddress: openAddress(this.parties.dataKeys, checkoutId, shippingAddress),
        }),
      },
      this.#call(),
    );
  }

  async #commitReservation(): Promise<void> {
    const { inventory } = this.parties;
    const request = { reservationId: this.#reservationId };
    try {
      const commit = () => inventory.commitReservation(request, this.#call());
      await this.#ask("commit-reservation", commit, isNotHeld);
    } catch (error) {
      if (!isNotHeld(error)) throw error;
      throw new Refused(reservationExpired(this.#reservationId));
    }
    this.journal.did("STOCK_COMMITTED");
  }

  async #capture(): Promise<void> {
    await this.#ask("capture", () =>
      this.#pay((signal) => this.parties.payments.capture(this.#paymentId, signal)),
    );
  }

  /** Backwards through what may have been done, by this run or by one before. */
  async #undo(refusal: Refusal): Promise<void> {
    await this.#pass("turn-back", () => this.journal.turnBack(refusal));
    const payment = await this.#findPayment();
    // No run ever passed a payment that was not authorized, so then there is no order either.
    if (payment === "AUTHORIZED" || payment === "VOIDED") {
      await this.#callOffOrder();
      await this.#ask("void", () =>
        this.#pay((signal) => this.parties.payments.void(this.#paymentId, signal)),
      );
      this.journal.did("PAYMENT_VOIDED");
    }
    const request = { reservationId: this.#reservationId };
    await this.#ask("release", () =>
      this.parties.inventory.releaseReservation(request, this.#call()),
    );
    this.journal.did("STOCK_RELEASED");
  }

  /** Closes the order's id as well, to a process that has lost its lease on the way to CreateOrder. */
  async #callOffOrder(): Promise<void> {
    const request = { orderId: this.#orderId, reason: CancelReason.CHECKOUT_FAILED };
    try {
      const cancel = () => this.parties.orders.cancelOrder(request, this.#call());
      await this.#ask("call-off-order", cancel, isAnswer);
      this.journal.did("ORDER_CANCELLED");
    } catch (error) {
      if (!isAnswer(error)) throw error;
      const { checkoutId } = this.#checkout;
      this.parties.log.error({ checkout_id: checkoutId, err: error }, "No order was called off");
    }
  }

  #refuse(refusal: Refusal): Promise<void> {
    return this.#pass("refuse", () => this.journal.refuse(refusal));
  }

  /** Asks somebody to do something, until the answer is known. */
  #ask<T>(
    deed: Deed,
    work: () => Promise<T>,
    isAnswer: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    const patience = { signal: this.signal, isAnswer, tell: this.#tell(deed) };
    return this.#pass(deed, () => untilKnown(patience, work));
  }

  /** Does something that lasts, between its two fault points. */
  async #pass<T>(deed: Deed, work: () => Promise<T>): Promise<T> {
    await this.parties.faultPoint(`before-${deed}`);
    const result = await work();
    await this.parties.faultPoint(`after-${deed}`);
    return result;
  }

  #pay<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return within(this.parties.callMs, this.signal, work);
  }

  #call() {
    return { signal: this.signal, timeoutMs: this.parties.callMs };
  }

  #tell(deed: Deed) {
    const { checkoutId } = this.#checkout;
    return (error: unknown) =>
      this.parties.log.warn(
        { checkout_id: checkoutId, deed, err: error },
        "No answer, asking again",
      );
  }
}
