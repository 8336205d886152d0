import { ItemsReturnedSchema, OrderCancelledSchema } from "@emporium/contracts/orders/v1";
import { type Events, on } from "@emporium/events";
import { attachToken, OwnTokens } from "@emporium/identity";
import { type Clock, type Logger, noFaults } from "@emporium/runtime";
import { type RunningService, Service } from "@emporium/service";
import { CheckoutModule } from "./checkout.module.js";
import { type CheckoutConfig, defaultSagaSettings, type Settings } from "./config.js";
import { PrismaClient } from "./generated/prisma/client.js";
import { PaymentSimulator } from "./payment/simulator.js";
import { Refunds } from "./refunds.js";

const LEDGER_CONNECTIONS = 5;

/** One renews while the other looks for what nobody drives. */
const LEASE_CONNECTIONS = 2;

/**
 * Pauses between two tries of a refund. A payment that is not captured yet is a reason to wait, for
 * as long as its saga may take; ten minutes are more than any should.
 */
const REFUND_PAUSES_MS = [200, 1_000, 5_000, 15_000, 30_000, 60_000, 120_000, 180_000, 180_000];

/**
 * Starts checkout. Postgres, NATS and the other services may come later: health says NOT_SERVING
 * until Postgres is there. The database's tables must be up to date (see `schema`).
 * Rejects where the address is taken.
 *
 * @example
 * await using checkout = await create({ ...config, listen: { host: "127.0.0.1", port: 0 } });
 */
export async function create(config: CheckoutConfig): Promise<RunningService> {
  const name = "checkout";
  await using service = await Service.open<PrismaClient>({
    name,
    config,
    client: (adapter) => new PrismaClient({ adapter }),
  });
  const { database, events } = service;
  const { dataKeys, inventoryAddress, ordersAddress, tls } = config;
  const settings = settingsOf(config, database.clock, service.log);
  // With connections of its own, as the system apart that it stands for: a consumer that holds all
  // of the service's still finds one for the refund that it waits for.
  const ledger = await service.openDatabase("payment-simulator", LEDGER_CONNECTIONS);
  const leaseDatabase = await service.openDatabase("checkout-leases", LEASE_CONNECTIONS);
  const app = await service.serve(
    CheckoutModule.with({
      database,
      leaseDatabase,
      events,
      dataKeys,
      payments: new PaymentSimulator(ledger, settings),
      inventoryAddress,
      ordersAddress,
      tls,
      clients: {
        interceptors: [attachToken(new OwnTokens({ ...config.oidc, clientId: name }))],
        observers: service.clientObservers,
      },
      settings,
    }),
  );
  service.use(await payBack(events, app.get(Refunds)));
  return service.running();
}

/** What the service's parts are told, with what is usual where nothing was said. */
function settingsOf(config: CheckoutConfig, clock: Clock, log: Logger): Settings {
  return {
    clock: config.clock ?? clock,
    currency: config.currency,
    saga: { ...defaultSagaSettings, ...config.saga },
    slowPaymentMs: config.slowPaymentMs ?? 2_000,
    shutdownGraceMs: config.shutdownGraceMs,
    faultPoint: config.faultPoint ?? noFaults,
    log,
  };
}

/** Takes in what orders tells of money that is due. */
function payBack(events: Events<PrismaClient>, refunds: Refunds): Promise<AsyncDisposable> {
  return events.consume({
    name: "checkout-refunds",
    from: "orders",
    backoffMs: REFUND_PAUSES_MS,
    handlers: [
      on(OrderCancelledSchema, (event) => refunds.orderCancelled(event)),
      on(ItemsReturnedSchema, (event) => refunds.itemsReturned(event)),
    ],
  });
}
