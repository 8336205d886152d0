import { ItemsReturnedSchema, OrderCancelledSchema } from "@emporium/contracts/orders/v1";
import { Database, isAway } from "@emporium/database";
import { Events, on } from "@emporium/events";
import { drillInterceptors, GrpcModule, GrpcServer } from "@emporium/grpc";
import {
  attachToken,
  contractAccess,
  IssuerAway,
  OwnTokens,
  TokenVerifier,
} from "@emporium/identity";
import { createLogger, type Logger, nestLogger, noFaults, systemClock } from "@emporium/runtime";
import { NestFactory } from "@nestjs/core";
import { CheckoutModule } from "./checkout.module.js";
import { type CheckoutConfig, defaultSagaSettings, type Settings } from "./config.js";
import { PrismaClient } from "./generated/prisma/client.js";
import { PaymentSimulator } from "./payment/simulator.js";
import { Refunds } from "./refunds.js";

const DATABASE_CONNECTIONS = 10;
const LEDGER_CONNECTIONS = 5;

/**
 * Pauses between two tries of a refund. A payment that is not captured yet is a reason to wait, for
 * as long as its saga may take; ten minutes are more than any should.
 */
const REFUND_PAUSES_MS = [200, 1_000, 5_000, 15_000, 30_000, 60_000, 120_000, 180_000, 180_000];

/** A service that runs in this process; disposing it drains it. */
export interface RunningService extends AsyncDisposable {
  readonly name: string;
  /** `host:port` that it listens on. */
  readonly address: string;
}

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
  const log = createLogger({ name, level: config.logLevel });
  await using parts = new AsyncDisposableStack();
  const open = async (applicationName: string, poolSize: number) =>
    parts.use(
      await Database.open<PrismaClient>({
        url: config.databaseUrl,
        client: (adapter) => new PrismaClient({ adapter }),
        applicationName,
        poolSize,
        onError: (err) => log.warn({ err }, "Postgres is in trouble"),
      }),
    );
  const database = await open(name, DATABASE_CONNECTIONS);
  const events = parts.use(
    await Events.connect({
      ...config.nats,
      nats: { tls: config.tls.files },
      source: name,
      database,
      logger: log,
      atFaultPoint: config.faultPoint,
    }),
  );
  const verifier = parts.use(
    new TokenVerifier({
      ...config.oidc,
      onError: (err) => log.warn({ err }, "The issuer's keys cannot be loaded"),
    }),
  );
  const server = new GrpcServer({
    listen: config.listen,
    tls: config.tls,
    ...(config.probes && { probes: config.probes }),
    graceMs: config.shutdownGraceMs,
    ...(config.shedding && { shedding: config.shedding }),
    interceptors: [...drillInterceptors(config.faultPoint), contractAccess({ verifier })],
    ...(config.limits && { limits: config.limits }),
    dependencies: {
      issuer: () => verifier.ready(),
      postgres: (signal) => database.ping(signal),
      // Without NATS events wait in the outbox; what is asked is answered.
      nats: {
        check: async () => {
          if (!events.ready()) throw new Error("NATS is away");
        },
        neededBy: [],
      },
    },
    isAway: (error) => isAway(error) || error instanceof IssuerAway,
    log,
  });
  const { inventoryAddress, ordersAddress } = config;
  const settings = settingsOf(config, log);
  // With connections of its own, as the system apart that it stands for: a consumer that holds all
  // of the service's still finds one for the refund that it waits for.
  const ledger = await open("payment-simulator", LEDGER_CONNECTIONS);
  const module = CheckoutModule.with({
    database,
    events,
    dataKeys: config.dataKeys,
    payments: new PaymentSimulator(ledger, settings),
    inventoryAddress,
    ordersAddress,
    tls: config.tls,
    interceptors: [attachToken(new OwnTokens({ ...config.oidc, clientId: name }))],
    settings,
  });
  const app = await NestFactory.createMicroservice(GrpcModule.around(module), {
    strategy: server,
    logger: nestLogger(log),
  });
  // Closing it drains the server, then the sagas, and only then closes the clients.
  parts.defer(() => app.close());
  await app.listen();
  events.startRelay();
  parts.use(await payBack(events, app.get(Refunds)));
  const running = parts.move();
  return { name, address: server.address, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** What the service's parts are told, with what is usual where nothing was said. */
function settingsOf(config: CheckoutConfig, log: Logger): Settings {
  return {
    clock: config.clock ?? systemClock,
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
