import { randomBytes } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type CompleteOrderRequest,
  CompleteOrderRequestSchema,
} from "@emporium/contracts/checkout/v1";
import { ReservationState } from "@emporium/contracts/inventory/v1";
import { OrderState } from "@emporium/contracts/orders/v1";
import { Database, migrate } from "@emporium/database";
import { Events } from "@emporium/events";
import { testInfrastructure } from "@emporium/local/test";
import { createLogger, movableClock } from "@emporium/runtime";
import { expect } from "vitest";
import { Catalogue } from "../src/catalogue.js";
import { defaultSagaSettings, type SagaSettings } from "../src/config.js";
import type { FaultPointName } from "../src/fault-points.js";
import { PrismaClient } from "../src/generated/prisma/client.js";
import { orderIdOf, paymentIdOf, reservationIdOf } from "../src/ids.js";
import { schema } from "../src/index.js";
import { Leases } from "../src/leases.js";
import type { PaymentProvider } from "../src/payment/payment-provider.js";
import { PaymentSimulator } from "../src/payment/simulator.js";
import { Purchases } from "../src/purchases.js";
import { Quotes } from "../src/quotes.js";
import { SagaRuns } from "../src/saga-runs.js";
import { ShopSessions } from "../src/shop-session.js";
import { Timeline } from "../src/timeline.js";
import { Faults } from "./faults.js";
import { clientsOf, OrderBook, Warehouse } from "./other-services.js";

/** Patient enough for a slow machine, quick enough for tests. */
const TEST_SAGA: SagaSettings = {
  ...defaultSagaSettings,
  leaseMs: 20_000,
  takeoverMs: 20,
  budgetMs: 20_000,
  lingerMs: 5,
  callMs: 200,
  authorizeMs: 600,
};

/** A checkout with its own database and streams, and the services around it in memory. */
export class Shop {
  readonly faults = new Faults();
  readonly warehouse = new Warehouse(this.faults);
  readonly orderBook = new OrderBook(this.faults);
  readonly clock = movableClock(new Date("2026-12-01T09:00:00Z"));

  private constructor(
    readonly databaseUrl: string,
    readonly nats: { servers: string; prefix: string },
    /** For looking at tables from outside. */
    readonly database: Database<PrismaClient>,
    private readonly stack: AsyncDisposableStack,
  ) {}

  /** Opens a shop that has tea and cups; all of it ends with the stack. */
  static async open(stack: AsyncDisposableStack): Promise<Shop> {
    const { freshDatabase, freshPrefix, natsUrl } = await testInfrastructure();
    const url = await freshDatabase("checkout");
    await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
    const database = stack.use(await openDatabase(url));
    const shop = new Shop(url, { servers: natsUrl, prefix: freshPrefix() }, database, stack);
    shop.warehouse.stock("TEA", 1_000_000, 250);
    shop.warehouse.stock("CUP", 1_000_000, 1_099);
    return shop;
  }

  /** Starts one more process of checkout, all but its network. */
  async startReplica(saga: Partial<SagaSettings> = {}): Promise<Replica> {
    const database = this.stack.use(await openDatabase(this.databaseUrl));
    const events = this.stack.use(
      await Events.connect({ ...this.nats, source: "checkout", database }),
    );
    events.startRelay();
    const replica = new Replica(this, { database, events, saga: { ...TEST_SAGA, ...saga } });
    this.stack.use(replica);
    return replica;
  }

  /** Makes the leases of all running checkouts run out. */
  async expireLeases(): Promise<void> {
    await this.database.prisma.checkout.updateMany({
      where: { state: "RUNNING" },
      data: { leaseUntil: new Date(0) },
    });
  }

  /** Everything that there is of one checkout, after seeing that it fits together. */
  async audit(checkoutId: string) {
    const row = await this.database.prisma.checkout.findUniqueOrThrow({ where: { checkoutId } });
    const entries = await this.database.prisma.paymentLedgerEntry.findMany({
      where: { paymentId: paymentIdOf(checkoutId) },
    });
    const events = await this.database.prisma.outbox.findMany({
      where: { aggregateId: checkoutId },
      orderBy: { version: "asc" },
    });
    const steps = (row.steps as { kind: string }[]).map(({ kind }) => kind);
    const books = {
      state: row.state,
      steps,
      refusal: (row.refusal as { reason: string } | null)?.reason,
      ledger: entries.map(({ kind }) => kind).sort(),
      reservation: this.warehouse.reservations.get(reservationIdOf(checkoutId))?.state,
      order: this.orderBook.orders.get(orderIdOf(checkoutId))?.state,
    };
    expect(events.map(({ version }) => Number(version))).toEqual(steps.map((_, i) => i + 1));
    if (row.state !== "RUNNING") expect(row.shippingAddress).toBeNull();
    if (row.state === "COMPLETED")
      expect(books).toMatchObject({
        ledger: ["authorize", "capture"],
        reservation: ReservationState.COMMITTED,
        order: OrderState.PLACED,
        refusal: undefined,
      });
    if (row.state === "REFUSED") {
      expect(["authorize,void", "close", "decline", ""]).toContain(books.ledger.join());
      expect([ReservationState.HELD, ReservationState.COMMITTED]).not.toContain(books.reservation);
      expect([undefined, OrderState.CANCELLED]).toContain(books.order);
    }
    return books;
  }
}

/**
 * One process of checkout. Its power can be cut: then it does nothing more, neither writes nor calls
 * nor renews a lease, until power is back, as a process that was stopped or has died.
 */
export class Replica implements AsyncDisposable {
  readonly database: Database<PrismaClient>;
  readonly payments: PaymentProvider;
  readonly quotes: Quotes;
  readonly runs: SagaRuns;
  readonly timeline: Timeline;
  readonly purchases: Purchases;
  readonly sessions: ShopSessions;
  readonly #cutAt = new Set<FaultPointName>();
  #cut = Promise.withResolvers<void>();
  #power: PromiseWithResolvers<void> | undefined;

  constructor(
    private readonly shop: Shop,
    with_: { database: Database<PrismaClient>; events: Events<PrismaClient>; saga: SagaSettings },
  ) {
    this.database = this.#powered(with_.database);
    const settings = {
      clock: shop.clock,
      currency: "GBP",
      saga: with_.saga,
      slowPaymentMs: 50,
      shutdownGraceMs: 2_000,
      faultPoint: (name: FaultPointName) => this.#pass(name),
      log: createLogger({ name: "checkout", level: "silent" }),
    };
    const { inventory, orders } = clientsOf(shop.warehouse, shop.orderBook);
    this.payments = faulty(new PaymentSimulator(shop.database, settings), shop.faults);
    const catalogue = new Catalogue(inventory, settings);
    const leases = new Leases(this.database, settings);
    this.quotes = new Quotes(this.database, catalogue, settings);
    this.runs = new SagaRuns(this.database, leases, inventory, orders, this.payments, settings);
    this.timeline = new Timeline(this.database, with_.events);
    this.purchases = new Purchases(
      this.database,
      catalogue,
      this.quotes,
      this.runs,
      this.timeline,
      settings,
    );
    this.sessions = new ShopSessions(
      inventory,
      catalogue,
      this.quotes,
      this.purchases,
      this.timeline,
    );
  }

  /** Cuts the power at a place of the saga; resolves when it has come there. */
  cutPowerAt(place: FaultPointName): Promise<void> {
    this.#cutAt.add(place);
    return this.#cut.promise;
  }

  cutPower(): void {
    this.#power ??= Promise.withResolvers();
    this.#cut.resolve();
  }

  restorePower(): void {
    this.#power?.resolve();
    this.#power = undefined;
    this.#cut = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.restorePower();
    await this.runs[Symbol.asyncDispose]();
  }

  async #pass(name: FaultPointName): Promise<void> {
    if (this.#cutAt.delete(name)) this.cutPower();
    await this.#power?.promise;
  }

  #powered(database: Database<PrismaClient>): Database<PrismaClient> {
    return new Proxy(database, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        const method = value.bind(target) as (...parameters: unknown[]) => unknown;
        if (key !== "query") return method;
        return async (...parameters: unknown[]) => {
          await this.#power?.promise;
          return method(...parameters);
        };
      },
    });
  }
}

/** A purchase of two teas and a cup, with what differs. */
export function purchase(
  differs: MessageInitShape<typeof CompleteOrderRequestSchema> = {},
): CompleteOrderRequest {
  return create(CompleteOrderRequestSchema, {
    checkoutId: newId("chk"),
    customerId: "ada",
    basket: {
      case: "cart",
      value: {
        lines: [
          { sku: "TEA", quantity: 1n },
          { sku: "CUP", quantity: 1n },
          { sku: "TEA", quantity: 1n },
        ],
      },
    },
    paymentToken: "tok_approve",
    shippingAddress: { recipient: "Ada", addressLines: ["12 St James's Square"] },
    ...differs,
  });
}

/** A TypeID, as callers choose them. */
export function newId(prefix: string): string {
  const letters = "0123456789abcdefghjkmnpqrstvwxyz";
  const random = Array.from(randomBytes(25), (byte) => letters[byte % 32]).join("");
  return `${prefix}_0${random}`;
}

function openDatabase(url: string): Promise<Database<PrismaClient>> {
  return Database.open<PrismaClient>({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "test",
  });
}

/** The provider, as the script of faults has it answer. */
function faulty(provider: PaymentProvider, faults: Faults): PaymentProvider {
  return {
    authorize: (payment, signal) =>
      faults.play("authorize", signal, () => provider.authorize(payment, signal)),
    findOrClose: (id, signal) =>
      faults.play("findOrClose", signal, () => provider.findOrClose(id, signal)),
    capture: (id, signal) => faults.play("capture", signal, () => provider.capture(id, signal)),
    void: (id, signal) => faults.play("void", signal, () => provider.void(id, signal)),
    refund: (refund, signal) =>
      faults.play("refund", signal, () => provider.refund(refund, signal)),
  };
}
