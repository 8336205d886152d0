import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { CreateOrderRequestSchema, OrderState, Reason } from "@emporium/contracts/orders/v2";
import type {
  PaymentRequest,
  PaymentState,
} from "../../services/checkout/src/payment/payment-provider.ts";
import { failure } from "../../services/orders/src/failure.ts";
import type { Guards } from "./guards.ts";

type CreateOrder = MessageInitShape<typeof CreateOrderRequestSchema> & { orderId: string };

/** Orders' contract, as far as checkout calls it. */
export class OrderBook {
  readonly orders = new Map<string, { state: OrderState; content: string }>();
  /** Ids that were cancelled before an order was placed: none ever will be. */
  readonly #closed = new Set<string>();

  create(request: CreateOrder): void {
    if (this.#closed.has(request.orderId))
      throw failure(Reason.ORDER_CANCELLED, "Cancelled before it was placed", {
        violations: [{ type: "ORDER_STATE", subject: request.orderId, description: "closed" }],
      });
    const content = Buffer.from(
      toBinary(CreateOrderRequestSchema, create(CreateOrderRequestSchema, request)),
    ).toString("hex");
    const known = this.orders.get(request.orderId);
    if (known && known.content !== content)
      throw failure(Reason.ORDER_MISMATCH, "Another order", resource(request.orderId));
    if (!known) this.orders.set(request.orderId, { state: OrderState.PLACED, content });
  }

  cancel(orderId: string): void {
    const known = this.orders.get(orderId);
    if (known) known.state = OrderState.CANCELLED;
    else this.#closed.add(orderId);
  }
}

function resource(resourceName: string) {
  return { resourceType: "order", resourceName, description: "in a simulation" };
}

/** What a provider keeps of a payment. */
interface Payment {
  state: PaymentState;
  /** How often money was set aside for it. */
  authorized: number;
}

/** A payment provider that keeps to `PaymentProvider`; every method is one act. */
export class Ledger {
  readonly payments = new Map<string, Payment>();
  readonly #guards: Guards;

  constructor(guards: Guards) {
    this.#guards = guards;
  }

  authorize({ paymentId, token }: PaymentRequest): PaymentState {
    const known = this.payments.get(paymentId);
    if (known) {
      // Without the guard a provider cannot tell that it was asked before.
      if (!this.#guards.idempotencyKey && known.state === "AUTHORIZED") known.authorized += 1;
      return known.state;
    }
    const state = token === "tok_decline" ? "DECLINED" : "AUTHORIZED";
    this.payments.set(paymentId, { state, authorized: state === "AUTHORIZED" ? 1 : 0 });
    return state;
  }

  findOrClose(paymentId: string): PaymentState {
    const known = this.payments.get(paymentId) ?? { state: "CLOSED", authorized: 0 };
    this.payments.set(paymentId, known);
    return known.state;
  }

  settle(paymentId: string, to: "CAPTURED" | "VOIDED"): void {
    const known = this.payments.get(paymentId);
    if (known?.state === "AUTHORIZED") known.state = to;
    if (known?.state !== to) throw new Error(`${paymentId} is ${known?.state}, not ${to}`);
  }
}
