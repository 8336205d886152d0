import { ItemsReturnedSchema, OrderCancelledSchema } from "@emporium/contracts/orders/v1";
import { Database, isAway } from "@emporium/database";
import { Events, on } from "@emporium/events";
import { drillInterceptors, GrpcModule, GrpcServer } from "@emporium/grpc";
import { contractAccess, IssuerAway, TokenVerifier } from "@emporium/identity";
import { createLogger, nestLogger, systemClock } from "@emporium/runtime";
import { NestFactory } from "@nestjs/core";
import {
  DEFAULT_RESERVATION_TTL_MS,
  DEFAULT_SWEEP_INTERVAL_MS,
  type InventoryConfig,
} from "./config.js";
import { PrismaClient } from "./generated/prisma/client.js";
import { InventoryModule } from "./inventory.module.js";
import { Reservations } from "./reservations.js";
import { ReturnedGoods } from "./returned-goods.js";
import { Sweep } from "./sweep.js";

/** A service that runs in this process; disposing it drains it. */
export interface RunningService extends AsyncDisposable {
  readonly name: string;
  /** `host:port` that it listens on. */
  readonly address: string;
}

/**
 * Starts inventory. Postgres and NATS may come later: health says NOT_SERVING until Postgres is there.
 * The database's tables must be up to date (see `schema`). Rejects where the address is taken.
 *
 * @example
 * await using inventory = await create({ ...config, listen: { host: "127.0.0.1", port: 0 } });
 */
export async function create(config: InventoryConfig): Promise<RunningService> {
  const name = "inventory";
  const log = createLogger({ name, level: config.logLevel });
  await using parts = new AsyncDisposableStack();
  const database = parts.use(
    await Database.open<PrismaClient>({
      url: config.databaseUrl,
      client: (adapter) => new PrismaClient({ adapter }),
      applicationName: name,
      onError: (err) => log.warn({ err }, "Postgres is in trouble"),
    }),
  );
  const events = parts.use(
    await Events.connect({
      ...config.nats,
      nats: { tls: config.tls.files },
      source: "inventory",
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
  const settings = {
    clock: config.clock ?? systemClock,
    currency: config.currency,
    reservationTtlMs: config.reservationTtlMs ?? DEFAULT_RESERVATION_TTL_MS,
  };
  const app = await NestFactory.createMicroservice(
    GrpcModule.around(InventoryModule.with({ database, events, settings })),
    { strategy: server, logger: nestLogger(log) },
  );
  parts.defer(() => app.close());
  await app.listen();

  events.startRelay();
  const reservations = app.get(Reservations);
  const intervalMs = config.sweepIntervalMs ?? DEFAULT_SWEEP_INTERVAL_MS;
  parts.use(new Sweep(reservations, { intervalMs, log }));
  const returnedGoods = app.get(ReturnedGoods);
  parts.use(
    await events.consume({
      name: "inventory-returned-goods",
      from: "orders",
      handlers: [
        on(OrderCancelledSchema, (event, _, tx) => returnedGoods.orderCancelled(tx, event)),
        on(ItemsReturnedSchema, (event, _, tx) => returnedGoods.itemsReturned(tx, event)),
      ],
    }),
  );
  const running = parts.move();
  return { name, address: server.address, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
