import { Database, isAway } from "@emporium/database";
import { Events } from "@emporium/events";
import { drillInterceptors, GrpcModule, GrpcServer } from "@emporium/grpc";
import {
  attachToken,
  contractAccess,
  IssuerAway,
  OwnTokens,
  TokenVerifier,
} from "@emporium/identity";
import { createLogger, nestLogger, systemClock } from "@emporium/runtime";
import { NestFactory } from "@nestjs/core";
import type { OrdersConfig } from "./config.js";
import { PrismaClient } from "./generated/prisma/client.js";
import { OrdersModule } from "./orders.module.js";

/** A service that runs in this process; disposing it drains it. */
export interface RunningService extends AsyncDisposable {
  readonly name: string;
  /** `host:port` that it listens on. */
  readonly address: string;
}

/**
 * Starts orders. Postgres and NATS may come later: health says NOT_SERVING until Postgres is there.
 * The database's tables must be up to date (see `schema`). Rejects where the address is taken.
 *
 * @example
 * await using orders = await create({ ...config, listen: { host: "127.0.0.1", port: 0 } });
 */
export async function create(config: OrdersConfig): Promise<RunningService> {
  const name = "orders";
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
  const { inventoryAddress, clock = systemClock, currency, taxRateBasisPoints = 0 } = config;
  const module = OrdersModule.with({
    database,
    events,
    dataKeys: config.dataKeys,
    inventoryAddress,
    tls: config.tls,
    interceptors: [attachToken(new OwnTokens({ ...config.oidc, clientId: name }))],
    settings: { clock, currency, taxRateBasisPoints },
  });
  const app = await NestFactory.createMicroservice(GrpcModule.around(module), {
    strategy: server,
    logger: nestLogger(log),
    abortOnError: false,
  });
  parts.defer(() => app.close());
  await app.listen();
  events.startRelay();
  log.info({ address: server.address }, "Orders are served");
  const running = parts.move();
  return { name, address: server.address, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
