import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { Database, DataKeys } from "@emporium/database";
import { type Client, InjectClient, outliveCall } from "@emporium/grpc";
import { Inject, Injectable, type OnModuleDestroy } from "@nestjs/common";
import { metrics } from "@opentelemetry/api";
import type { CheckoutRow } from "./checkout-row.js";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { Journal, LeaseLost } from "./journal.js";
import { Leases } from "./leases.js";
import { pause, within } from "./patience.js";
import { PAYMENT_PROVIDER, type PaymentProvider } from "./payment/payment-provider.js";
import { Saga, type SagaParties } from "./saga.js";

/** Most checkouts that one look takes over, and most that are driven at a time after a takeover. */
const TAKEOVER_BATCH = 16;
const MOST_TAKEOVERS = 64;

/** A checkout that this process drives. */
export interface Run {
  readonly checkout: CheckoutRow;
  /** The checkout as it ended; `undefined` when this process let go of it before. */
  readonly ended: Promise<CheckoutRow | undefined>;
}

interface Driven extends Run {
  readonly control: AbortController;
  readonly startedAt: number;
}

/**
 * The sagas that this process drives: those of its own callers, detached from them, and those whose
 * process went away. Their leases are renewed for as long as they run. Disposing it lets them finish,
 * for the time of grace, and gives the leases of the rest away.
 */
@Injectable()
export class SagaRuns implements AsyncDisposable, OnModuleDestroy {
  readonly #parties: SagaParties;
  readonly #driven = new Map<string, Driven>();
  readonly #closing = new AbortController();
  readonly #closed = new AbortController();
  readonly #loops: Promise<void>[];
  readonly #outcomes = metrics
    .getMeter("@emporium/checkout")
    .createCounter("emporium.checkout.ended", {
      unit: "{checkout}",
      description: "Checkouts that this process has driven to their end, by outcome and reason",
    });
  /** Payment tokens of callers that wait for a checkout which another process drives, or has driven. */
  readonly #offered = new Map<string, string>();
  #takeovers = 0;

  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly leases: Leases,
    @InjectClient(InventoryService) inventory: Client<typeof InventoryService>,
    @InjectClient(OrderService) orders: Client<typeof OrderService>,
    @Inject(PAYMENT_PROVIDER) payments: PaymentProvider,
    dataKeys: DataKeys,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {
    const { saga, faultPoint, log } = settings;
    this.#parties = { inventory, orders, payments, dataKeys, faultPoint, log, ...saga };
    const renewMs = leases.milliseconds / 3;
    this.#loops = outliveCall(() => [
      this.#repeat(saga.takeoverMs, this.#closing.signal, (signal) => this.#takeOver(signal)),
      this.#repeat(renewMs, this.#closed.signal, (signal) => this.#renew(renewMs, signal)),
    ]);
  }

  /** What the lease of a new checkout is. */
  get lease(): { owner: string; milliseconds: number } {
    return this.leases;
  }

  /** The run of a checkout that this process drives. */
  find(checkoutId: string): Run | undefined {
    return this.#driven.get(checkoutId);
  }

  /** Drives a checkout that was just written down. Goes on when the caller hangs up. */
  start(checkout: CheckoutRow, paymentToken: string): Run {
    return outliveCall(() => this.#drive(checkout, paymentToken));
  }

  /**
   * Keeps the payment token of a caller who asks again, until the result is disposed: if the process
   * that drives the checkout is gone before the payment was authorized, this one can go on with it.
   */
  offerToken(checkoutId: string, paymentToken: string): Disposable {
    this.#offered.set(checkoutId, paymentToken);
    return { [Symbol.dispose]: () => void this.#offered.delete(checkoutId) };
  }

  /** Called by Nest when the server has drained and the clients are still open. */
  onModuleDestroy(): Promise<void> {
    return this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const ended = Promise.all([...this.#driven.values()].map((run) => run.ended));
    await within(this.settings.shutdownGraceMs, this.#closed.signal, () => ended).catch(
      () => undefined,
    );
    for (const { control } of this.#driven.values())
      control.abort(new Error("the process ends before the checkout does"));
    await ended;
    this.#closed.abort();
    await Promise.all(this.#loops);
  }

  #drive(checkout: CheckoutRow, paymentToken?: string, fromAnother = false): Run {
    const control = new AbortController();
    const ended = this.#finish(checkout, { control, paymentToken, fromAnother });
    const run = { checkout, control, startedAt: performance.now(), ended };
    this.#driven.set(checkout.checkoutId, run);
    void ended.then(() => this.#driven.delete(checkout.checkoutId));
    return run;
  }

  async #finish(
    checkout: CheckoutRow,
    by: { control: AbortController; paymentToken: string | undefined; fromAnother: boolean },
  ): Promise<CheckoutRow | undefined> {
    const { control } = by;
    const { clock, log, saga } = this.settings;
    const { budgetMs, lingerMs } = saga;
    const timer = setTimeout(() => control.abort(new Error("its time is used up")), budgetMs);
    using journal = new Journal(checkout, {
      database: this.database,
      clock,
      log,
      leaseMs: this.leases.milliseconds,
      lingerMs,
      signal: control.signal,
      onLeaseLost: (error) => control.abort(error),
    });
    try {
      if (by.fromAnother) journal.did("TAKEN_OVER");
      const token = () => by.paymentToken ?? this.#offered.get(checkout.checkoutId);
      await new Saga(this.#parties, journal, token, control.signal).run();
      const { state: outcome, refusal } = checkout;
      this.#outcomes.add(1, { outcome, reason: refusal?.reason ?? "" });
      return checkout;
    } catch (error) {
      await this.#letGo(checkout, error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Somebody takes it up again: at once when this process ends, else when its lease is over. */
  async #letGo(checkout: CheckoutRow, error: unknown): Promise<void> {
    const fields = { checkout_id: checkout.checkoutId, err: error };
    if (error instanceof LeaseLost)
      return this.settings.log.info(fields, "A checkout was taken over");
    this.settings.log.warn(fields, "A checkout is left for later");
    if (this.#closing.signal.aborted) await this.leases.release(checkout).catch(() => undefined);
  }

  async #takeOver(signal: AbortSignal): Promise<void> {
    const limit = Math.min(TAKEOVER_BATCH, MOST_TAKEOVERS - this.#takeovers);
    if (limit <= 0) return;
    const except = [...this.#driven.keys()];
    const hasToken = (checkoutId: string) => this.#offered.has(checkoutId);
    const taken = await this.leases.takeOver(limit, { except, hasToken }, signal);
    for (const { checkout, fromAnother } of taken) {
      this.settings.log.info({ checkout_id: checkout.checkoutId }, "A checkout is taken over");
      this.#takeovers += 1;
      void this.#drive(checkout, undefined, fromAnother).ended.then(() => (this.#takeovers -= 1));
    }
  }

  /** Only of those that have run for a while: most are done long before their lease is. */
  async #renew(renewMs: number, signal: AbortSignal): Promise<void> {
    const before = performance.now() - renewMs / 2;
    const long = [...this.#driven.values()].filter(({ startedAt }) => startedAt < before);
    if (long.length === 0) return;
    await this.leases.renew(
      long.map(({ checkout }) => checkout.checkoutId),
      signal,
    );
  }

  async #repeat(
    milliseconds: number,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        await pause(milliseconds * (0.75 + Math.random() / 2), signal);
        await work(signal);
      } catch (error) {
        if (!signal.aborted)
          this.settings.log.warn({ err: error }, "Leases could not be looked after");
      }
    }
  }
}
