/** A payment that is asked for. */
export interface PaymentRequest {
  /** Chosen by the caller; everything about this payment is idempotent under it. */
  paymentId: string;
  /** What the provider gave the customer. */
  token: string;
  /** Minor units of `currency`. */
  amount: bigint;
  /** ISO 4217 code. */
  currency: string;
}

/** Money that goes back. */
export interface RefundRequest {
  /** The payment it was paid with; where that is not known, the refund's own id. */
  paymentId: string;
  /** Chosen by the caller; the refund is idempotent under it. */
  refundId: string;
  /** Minor units of `currency`. */
  amount: bigint;
  /** ISO 4217 code. */
  currency: string;
}

/**
 * Where a payment stands. CLOSED: it was never authorized and never will be. AUTHORIZED leads to
 * CAPTURED or VOIDED; all others are for good.
 */
export type PaymentState = "AUTHORIZED" | "DECLINED" | "CLOSED" | "CAPTURED" | "VOIDED";

/**
 * A payment provider, as far as the shop needs one. Every method may be called any number of times
 * with the same ids: it happens once, and the first answer is given again. A method that rejects
 * says nothing about what happened: the caller asks again.
 */
export interface PaymentProvider {
  /** Asks for money: AUTHORIZED or DECLINED, or where the payment has come since. */
  authorize(payment: PaymentRequest, signal: AbortSignal): Promise<PaymentState>;

  /**
   * Where a payment stands; one that was never authorized is CLOSED by asking. Looking and closing
   * are one act: between the two somebody else could be authorized who asked before.
   */
  findOrClose(paymentId: string, signal: AbortSignal): Promise<PaymentState>;

  /** Takes what was authorized; rejects for a payment that is not. */
  capture(paymentId: string, signal: AbortSignal): Promise<void>;

  /** Gives up what was authorized; rejects for a payment that was captured. */
  void(paymentId: string, signal: AbortSignal): Promise<void>;

  /**
   * Pays back. Resolves to false where there is nothing to pay back, since the payment was voided
   * or never made. Rejects while a payment is authorized and not captured yet: ask again later.
   */
  refund(refund: RefundRequest, signal: AbortSignal): Promise<boolean>;
}

/** Nest's token for the provider in use. */
export const PAYMENT_PROVIDER = Symbol("PaymentProvider");
