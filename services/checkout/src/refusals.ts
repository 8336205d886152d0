import type { MessageInitShape } from "@bufbuild/protobuf";
import { Reason } from "@emporium/contracts/checkout/v1";
import { PreconditionFailureSchema } from "@emporium/contracts/google/rpc";
import { findDetail } from "@emporium/grpc";
import { failure } from "./failure.js";

/**
 * Why a checkout is refused, as it is kept and answered again: for a JSON column. Without a reason
 * something of ours is broken; callers then see an internal error, and no more.
 */
export interface Refusal {
  reason: keyof typeof Reason;
  message: string;
  violations: { type: string; subject: string; description: string }[];
}

/** Ends the way forward of a saga: what was done is undone. */
export class Refused extends Error {
  override name = "Refused";

  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

/** Inventory said no; its violations, one per product, are told on. */
export function outOfStock(error: unknown): Refusal {
  const violations = findDetail(error, PreconditionFailureSchema)?.violations ?? [];
  return {
    reason: "OUT_OF_STOCK",
    message: "Fewer units are available than wanted",
    violations: violations.map(({ type, subject, description }) => ({
      type,
      subject,
      description,
    })),
  };
}

export function paymentDeclined(paymentId: string): Refusal {
  return payment("PAYMENT_DECLINED", paymentId, "The payment was declined");
}

export function paymentUnavailable(paymentId: string): Refusal {
  return payment("PAYMENT_UNAVAILABLE", paymentId, "The payment was not authorized in time");
}

export function reservationExpired(reservationId: string): Refusal {
  return {
    reason: "RESERVATION_EXPIRED",
    message: "The checkout took longer than its stock could be held",
    violations: [
      {
        type: "RESERVATION",
        subject: reservationId,
        description: "it was given back before it was sold",
      },
    ],
  };
}

/** Another service gave an answer that its contract admits and that nothing here can lead to. */
export function broken(what: string, error: unknown): Refusal {
  const said = error instanceof Error ? error.message : String(error);
  return { reason: "UNSPECIFIED", message: `${what}: ${said}`.slice(0, 1000), violations: [] };
}

/** The error that CompleteOrder fails with for a refused checkout, the same each time. */
export function toFailure({ reason, message, violations }: Refusal): Error {
  if (reason === "UNSPECIFIED") return new Error(message);
  const detail: MessageInitShape<typeof PreconditionFailureSchema> = { violations };
  return failure(Reason[reason], message, detail);
}

function payment(
  reason: "PAYMENT_DECLINED" | "PAYMENT_UNAVAILABLE",
  subject: string,
  message: string,
): Refusal {
  const description =
    reason === "PAYMENT_DECLINED" ? "the provider said no" : "the provider gave no answer";
  return { reason, message, violations: [{ type: "PAYMENT", subject, description }] };
}
