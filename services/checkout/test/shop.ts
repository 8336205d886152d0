import { create } from "@bufbuild/protobuf";
import {
  CartSchema,
  type CompleteOrderRequest,
  CompleteOrderRequestSchema,
} from "@emporium/contracts/checkout/v1";
import { Database, DataKeys, migrate } from "@emporium/database";
import { Events } from "@emporium/events";
import { testInfrastructure } from "@emporium/local/test";
import { createLogger, movableClock, newId } from "@emporium/runtime";
import { Catalogue } from "../src/catalogue.js";
import { defaultSagaSettings, type SagaSettings } from "../src/config.js";
import type { FaultPointName } from "../src/fault-points.js";
import { PrismaClient } from "../src/generated/prisma/client.js";
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

/**
 * Calls are asked again soon; whole payments and sagas get more than any machine takes, so that their
 * end is an event and not a clock's. A test of what happens when time is over says how much there is.
 */
const TEST_SAGA: SagaSettings = {
  ...defaultSagaSettings,
  leaseMs: 20_000,
  takeoverMs: 20,
  budgetMs: 20_000,
  lingerMs: 5,
  callMs: 200,
  authorizeMs: 20_000,
};

/** For a process that is about to be stopped: it takes nothing over that others wait for. */
export const NO_TAKEOVER = { takeoverMs: 3_600_000 };

/** A checkout with its own database and streams, and the services around it in memory. */
export class Shop {
  readonly dataKeys = DataKeys.random();
  readonly faults = new Faults();
  readonly warehouse = new Warehouse(this.faults);
  readonly orderBook = new OrderBook(this.faults);
  readonly clock = movableClock(new Date("2026-12-01T09:00:00Z"));

  private constructor(
    readonly databaseUrl: string,
    /** For looking at tables from outside. */
    readonly database: Database<PrismaClient>,
    readonly events: Events<PrismaClient>,
    private readonly stack: AsyncDisposableStack,
  ) {}

  /** Opens a shop that has tea and cups; all of it ends with the stack. */
  static async open(stack: AsyncDisposableStack): Promise<Shop> {
    const { certificates, freshDatabase, freshPrefix, natsUrl } = await testInfrastructure();
    const url = await freshDatabase("checkout");
    await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
    const database = stack.use(await openDatabase(url));
    const events = stack.use(
      await Events.connect({
        servers: natsUrl,
        nats: { tls: await certificates.filesOf("checkout") },
        prefix: freshPrefix(),
        source: "checkout",
        database,
      }),
    );
    events.startRelay();
    const shop = new Shop(url, database, events, stack);
    shop.warehouse.stock("TEA", 1_000_000, 250);
    shop.warehouse.stock("CUP", 1_000_000, 1_099);
    return shop;
  }

  /** Starts one more process of checkout, all but its network and its relay. */
  async startReplica(saga: Partial<SagaSettings> = {}): Promise<Replica> {
    const database = await openDatabase(this.databaseUrl);
    database.onCommit(() => this.database.committed());
    const replica = new Replica(this, database, { ...TEST_SAGA, ...saga });
    this.stack.use(replica);
    return replica;
  }

  /** Makes the lease of a checkout run out, as when nobody could renew it in time. */
  async overrunLease(checkoutId: string): Promise<void> {
    await this.database.query(undefined, OVERRUN, [checkoutId]);
  }

  /** Gives the lease of a checkout away, or of all that run. */
  async releaseLeases(checkoutId?: string): Promise<void> {
    await this.database.query(undefined, RELEASE, [checkoutId ?? null]);
  }
}

const OVERRUN = `
  UPDATE checkouts SET lease_until = now() - interval '1 second' WHERE checkout_id = $1`;

/** As a process that ends does. */
const RELEASE = `
  UPDATE checkouts SET lease_until = '-infinity'
  WHERE state = 'RUNNING' AND checkout_id = coalesce($1, checkout_id)`;

/**
 * One process of checkout. Its power can be cut: then it does nothing more, neither writes nor calls
 * nor renews a lease, until power is back, as a process that was stopped or has died.
 */
export class Replica implements AsyncDisposable {
  readonly database: Database<PrismaClient>;
  /** First words of the statements that it sent, each a round trip. */
  readonly statements: string[] = [];
  readonly payments: PaymentProvider;
  readonly quotes: Quotes;
  readonly runs: SagaRuns;
  readonly timeline: Timeline;
  readonly purchases: Purchases;
  readonly sessions: ShopSessions;
  readonly #cutAt = new Set<FaultPointName>();
  readonly #queries = new Set<Promise<unknown>>();
  #cut = Promise.withResolvers<void>();
  #disposed = false;
  #power: PromiseWithResolvers<void> | undefined;

  constructor(shop: Shop, database: Database<PrismaClient>, saga: SagaSettings) {
    this.database = this.#powered(database);
    const settings = {
      clock: shop.clock,
      currency: "GBP",
      saga,
      slowPaymentMs: 250,
      shutdownGraceMs: 500,
      faultPoint: (name: FaultPointName) => this.#pass(name),
      log: createLogger({ name: "checkout", level: "silent" }),
    };
    const { inventory, orders } = clientsOf(shop.warehouse, shop.orderBook);
    this.payments = faulty(new PaymentSimulator(shop.database, settings), shop.faults);
    const catalogue = new Catalogue(inventory, settings);
    const leases = new Leases(this.database, settings);
    this.quotes = new Quotes(this.database, catalogue, settings);
    this.runs = new SagaRuns(
      this.database,
      leases,
      inventory,
      orders,
      this.payments,
      shop.dataKeys,
      settings,
    );
    this.timeline = new Timeline(this.database, shop.events);
    this.purchases = new Purchases(
      this.database,
      shop.dataKeys,
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

  /** Cuts the power at a place of the saga; resolves when it has come there and lies still. */
  async cutPowerAt(place: FaultPointName): Promise<void> {
    this.#cutAt.add(place);
    await this.#cut.promise;
    await Promise.allSettled(this.#queries);
  }

  cutPower(): void {
    this.#power ??= Promise.withResolvers();
    this.#cut.resolve();
  }

  restorePower(): void {
    this.#cutAt.clear();
    this.#power?.resolve();
    this.#power = undefined;
    this.#cut = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.restorePower();
    if (this.#disposed) return;
    this.#disposed = true;
    await this.runs[Symbol.asyncDispose]();
    await this.database[Symbol.asyncDispose]();
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
          this.statements.push(/\b(SELECT|INSERT|UPDATE)\b/.exec(String(parameters[1]))?.[1] ?? "");
          const query = method(...parameters) as Promise<unknown>;
          this.#queries.add(query);
          return query.finally(() => this.#queries.delete(query));
        };
      },
    });
  }
}

/** A purchase of two teas and a cup, with what differs. */
export function purchase(
  differs: Partial<
    Pick<CompleteOrderRequest, "checkoutId" | "customerId" | "basket" | "paymentToken">
  > = {},
): CompleteOrderRequest {
  return create(CompleteOrderRequestSchema, {
    checkoutId: newId("chk"),
    customerId: "ada",
    basket: cart({ TEA: 1n }, { CUP: 1n }, { TEA: 1n }),
    paymentToken: "tok_approve",
    shippingAddress: { recipient: "Ada", addressLines: ["12 St James's Square"] },
    ...differs,
  });
}

/** A basket with one line for each of these. */
export function cart(...lines: Record<string, bigint>[]) {
  const entries = lines.flatMap((line) => Object.entries(line));
  return {
    case: "cart" as const,
    value: create(CartSchema, { lines: entries.map(([sku, quantity]) => ({ sku, quantity })) }),
  };
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
      faults.play("authorize", payment.paymentId, signal, () =>
        provider.authorize(payment, signal),
      ),
    findOrClose: (id, signal) =>
      faults.play("findOrClose", id, signal, () => provider.findOrClose(id, signal)),
    capture: (id, signal) => faults.play("capture", id, signal, () => provider.capture(id, signal)),
    void: (id, signal) => faults.play("void", id, signal, () => provider.void(id, signal)),
    refund: (refund, signal) =>
      faults.play("refund", refund.paymentId, signal, () => provider.refund(refund, signal)),
  };
}
