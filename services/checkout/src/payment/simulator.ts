import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "@emporium/database";
import type { Settings } from "../config.js";
import { unlessAborted } from "../patience.js";
import type { LedgerKind, PrismaClient } from "../generated/prisma/client.js";
import type {
  PaymentProvider,
  PaymentRequest,
  PaymentState,
  RefundRequest,
} from "./payment-provider.js";

/** How often `tok_flaky` fails before it works. */
const FLAKY_FAILURES = 2;

/** ISO 4217 for "no currency": a payment that was closed before anyone named an amount. */
const NO_CURRENCY = "XXX";

/**
 * A payment provider that charges nobody. It stands for a system of its own: it keeps its own
 * books, in transactions of its own, and knows nothing of checkouts. Its tokens:
 *
 * - `tok_approve` is authorized
 * - `tok_decline`, and every token that is not named here, is declined
 * - `tok_slow` is authorized after some time (2 s), also when nobody waits for that any more
 * - `tok_flaky` fails twice without saying whether it was authorized, then is
 * - `tok_down` never gets an answer
 * - `tok_answer_lost` is authorized, but the first answer is lost
 */
export class PaymentSimulator implements PaymentProvider {
  readonly #failures = new Map<string, number>();
  /** Slow payments on their way, by payment id: who asks again waits for the same. */
  readonly #slow = new Map<string, Promise<PaymentState>>();

  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly settings: Pick<Settings, "clock" | "slowPaymentMs">,
  ) {}

  async authorize(payment: PaymentRequest, signal: AbortSignal): Promise<PaymentState> {
    switch (payment.token) {
      case "tok_approve":
        return this.#answer("authorize", payment, signal);
      case "tok_slow":
        return unlessAborted(signal, this.#authorizeSlowly(payment));
      case "tok_flaky":
        this.#failSometimes(payment.paymentId);
        return this.#answer("authorize", payment, signal);
      case "tok_down":
        return never(signal);
      case "tok_answer_lost":
        if (await this.#enter("authorize", payment, signal)) throw new Error("the answer was lost");
        return this.#stateOf(payment.paymentId, signal);
      default:
        return this.#answer("decline", payment, signal);
    }
  }

  findOrClose(paymentId: string, signal: AbortSignal): Promise<PaymentState> {
    this.#failures.delete(paymentId);
    const nothing = { paymentId, amount: 0n, currency: NO_CURRENCY };
    return this.#answer("close", nothing, signal);
  }

  async capture(paymentId: string, signal: AbortSignal): Promise<void> {
    await this.#settle("capture", paymentId, signal);
  }

  async void(paymentId: string, signal: AbortSignal): Promise<void> {
    await this.#settle("void", paymentId, signal);
  }

  async refund(refund: RefundRequest, signal: AbortSignal): Promise<boolean> {
    const { paymentId, refundId, amount, currency } = refund;
    const entry = [paymentId, "refund", refundId, amount, currency, this.settings.clock.now()];
    if (paymentId === refundId) {
      await this.database.query(signal, ENTER, entry);
      return true;
    }
    const entered = await this.database.query(signal, REFUND, entry);
    if (entered.length > 0) return true;
    const state = await this.#stateOf(paymentId, signal);
    if (state === "AUTHORIZED") throw new Error(`${paymentId} is not captured yet`);
    return state === "CAPTURED";
  }

  #authorizeSlowly(payment: PaymentRequest): Promise<PaymentState> {
    const { paymentId } = payment;
    const known = this.#slow.get(paymentId);
    if (known) return known;
    const answer = sleep(this.settings.slowPaymentMs, undefined, { ref: false })
      .then(() => this.#answer("authorize", payment))
      .finally(() => this.#slow.delete(paymentId));
    this.#slow.set(paymentId, answer);
    // It may come when nobody waits for it, or when the process ends.
    answer.catch(() => undefined);
    return answer;
  }

  async #answer(
    kind: LedgerKind,
    payment: { paymentId: string; amount: bigint; currency: string },
    signal?: AbortSignal,
  ): Promise<PaymentState> {
    if (await this.#enter(kind, payment, signal)) return STATES[kind];
    return this.#stateOf(payment.paymentId, signal);
  }

  /** Whether the entry is new; otherwise the payment was answered before. */
  async #enter(
    kind: LedgerKind,
    { paymentId, amount, currency }: { paymentId: string; amount: bigint; currency: string },
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const entry = [paymentId, kind, paymentId, amount, currency, this.settings.clock.now()];
    return (await this.database.query(signal, ENTER, entry)).length > 0;
  }

  async #settle(kind: "capture" | "void", paymentId: string, signal: AbortSignal): Promise<void> {
    const settled = await this.database.query(signal, SETTLE, [
      paymentId,
      kind,
      this.settings.clock.now(),
    ]);
    if (settled.length > 0) return;
    const state = await this.#stateOf(paymentId, signal);
    if (state !== STATES[kind]) throw new Error(`${paymentId} is ${state}, ${kind} is impossible`);
  }

  async #stateOf(paymentId: string, signal: AbortSignal | undefined): Promise<PaymentState> {
    const entries = await this.database.query<{ kind: LedgerKind }>(signal, ENTRIES, [paymentId]);
    const settled = entries.find(({ kind }) => kind === "capture" || kind === "void");
    return STATES[settled?.kind ?? entries[0]?.kind ?? "close"];
  }

  #failSometimes(paymentId: string): void {
    const failures = (this.#failures.get(paymentId) ?? 0) + 1;
    if (failures > FLAKY_FAILURES) return void this.#failures.delete(paymentId);
    this.#failures.set(paymentId, failures);
    throw new Error("the connection was reset");
  }
}

const STATES = {
  authorize: "AUTHORIZED",
  decline: "DECLINED",
  close: "CLOSED",
  capture: "CAPTURED",
  void: "VOIDED",
  refund: "CAPTURED",
} as const satisfies Record<LedgerKind, PaymentState>;

/*
 * Not Prisma: each is one statement, whose unique indexes decide, also between two that ask at the
 * same moment. No row comes back where one of them was there before.
 */
const ENTER = `
  INSERT INTO payment_ledger (payment_id, kind, reference, amount, currency, create_time)
  VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT DO NOTHING
  RETURNING payment_id`;

const SETTLE = `
  INSERT INTO payment_ledger (payment_id, kind, reference, amount, currency, create_time)
  SELECT payment_id, $2, reference, amount, currency, $3
  FROM payment_ledger WHERE payment_id = $1 AND kind = 'authorize'
  ON CONFLICT DO NOTHING
  RETURNING payment_id`;

const REFUND = `
  INSERT INTO payment_ledger (payment_id, kind, reference, amount, currency, create_time)
  SELECT payment_id, $2, $3, $4, $5, $6
  FROM payment_ledger WHERE payment_id = $1 AND kind = 'capture'
  ON CONFLICT DO NOTHING
  RETURNING payment_id`;

const ENTRIES = `
  SELECT kind FROM payment_ledger WHERE payment_id = $1 AND kind <> 'refund' ORDER BY create_time`;

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
