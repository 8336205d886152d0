import { Database, type DatabaseOptions, isAway, type PrismaClientLike } from "@emporium/database";
import { Events, type Source } from "@emporium/events";
import {
  callLog,
  callMetrics,
  type ClientObserver,
  clientMetrics,
  drillInterceptors,
  GrpcModule,
  GrpcServer,
} from "@emporium/grpc";
import { contractAccess, IssuerAway, TokenVerifier } from "@emporium/identity";
import { createLogger, type Logger, nestLogger } from "@emporium/runtime";
import type { DynamicModule, INestMicroservice } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { createNoopMeter, metrics } from "@opentelemetry/api";
import type { ServiceConfig } from "./service-config.js";

/** Whose process it is, and how its Prisma client is made. */
export interface ServiceOptions<Client> {
  name: Source;
  config: ServiceConfig;
  client: DatabaseOptions<Client>["client"];
}

/** A service that runs in this process; disposing it drains it. */
export interface RunningService extends AsyncDisposable {
  readonly name: string;
  /** `host:port` that it listens on. */
  readonly address: string;
}

/**
 * What every service of the shop is made of: a log, its Postgres, its events on NATS, and a gRPC
 * server with mutual TLS that lets in whom the contract lets in. All of these may come later than the
 * service: health says NOT_SERVING while it cannot do without them.
 *
 * @example
 * await using service = await Service.open<PrismaClient>({
 *   name: "inventory", config, client: (adapter) => new PrismaClient({ adapter }) });
 * await service.serve(InventoryModule.with(service));
 * return service.running();
 */
export class Service<Client extends PrismaClientLike> implements AsyncDisposable {
  readonly #options: ServiceOptions<Client>;
  readonly #parts: AsyncDisposableStack;
  readonly log: Logger;
  readonly database: Database<Client>;
  readonly events: Events<Client>;
  readonly #server: GrpcServer;
  /** Whether the process has an SDK: without one, no call is measured for nobody. */
  readonly #measured = metrics.getMeter("@emporium/service") !== createNoopMeter();
  /** For the clients that the service calls others with. */
  readonly clientObservers: ClientObserver[] = this.#measured ? [clientMetrics()] : [];

  private constructor(
    options: ServiceOptions<Client>,
    opened: {
      log: Logger;
      database: Database<Client>;
      events: Events<Client>;
      parts: AsyncDisposableStack;
    },
  ) {
    this.#options = options;
    this.log = opened.log;
    this.database = opened.database;
    this.events = opened.events;
    this.#parts = opened.parts;
    this.#server = this.#makeServer();
  }

  /** Opens what it needs to serve. Nothing of it has to be there yet. */
  static async open<Client extends PrismaClientLike>(
    options: ServiceOptions<Client>,
  ): Promise<Service<Client>> {
    const { name, config } = options;
    const log = createLogger({ name, level: config.logLevel });
    await using parts = new AsyncDisposableStack();
    const database = parts.use(
      await openDatabase(options, log, {
        applicationName: name,
        ...(config.databasePoolSize && { poolSize: config.databasePoolSize }),
      }),
    );
    // So that its time is known before anything is asked that has to do with time.
    await database.ping().catch(() => undefined);
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
    return new Service(options, { log, database, events, parts: parts.move() });
  }

  /** One more pool of connections to the service's database, that no other work can use up. */
  async openDatabase(applicationName: string, poolSize: number): Promise<Database<Client>> {
    return this.use(await openDatabase(this.#options, this.log, { applicationName, poolSize }));
  }

  /** Disposes of it when the service ends, before what is there already. */
  use<Resource extends AsyncDisposable | Disposable>(resource: Resource): Resource {
    return this.#parts.use(resource);
  }

  /**
   * Serves the module's controllers and publishes the outbox. Rejects where the address is taken. At
   * the end the server is drained first, then the module's providers are closed.
   */
  async serve(module: DynamicModule): Promise<INestMicroservice> {
    const app = await NestFactory.createMicroservice(GrpcModule.around(module), {
      strategy: this.#server,
      logger: nestLogger(this.log),
      abortOnError: false,
    });
    this.#parts.defer(() => app.close());
    await app.listen();
    this.events.startRelay();
    this.log.info({ address: this.#server.address }, "Serving");
    return app;
  }

  /** The service as whoever started it sees it; from now on it ends with that. */
  running(): RunningService {
    const parts = this.#parts.move();
    const { name } = this.#options;
    const { address } = this.#server;
    return { name, address, [Symbol.asyncDispose]: () => parts.disposeAsync() };
  }

  /** Closes everything, unless it is running. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }

  #makeServer(): GrpcServer {
    const { config } = this.#options;
    const { database, events, log } = this;
    const verifier = this.use(
      new TokenVerifier({
        ...config.oidc,
        onError: (err) => log.warn({ err }, "The issuer's keys cannot be loaded"),
      }),
    );
    return new GrpcServer({
      listen: config.listen,
      tls: config.tls,
      ...(config.probes && { probes: config.probes }),
      graceMs: config.shutdownGraceMs,
      ...(config.shedding && { shedding: config.shedding }),
      ...(config.limits && { limits: config.limits }),
      interceptors: [...drillInterceptors(config.faultPoint), contractAccess({ verifier })],
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
      observers: [...(this.#measured ? [callMetrics()] : []), callLog(log)],
      isAway: (error) => isAway(error) || error instanceof IssuerAway,
      log,
    });
  }
}

function openDatabase<Client extends PrismaClientLike>(
  { config, client }: ServiceOptions<Client>,
  log: Logger,
  pool: { applicationName: string; poolSize?: number },
): Promise<Database<Client>> {
  return Database.open<Client>({
    url: config.databaseUrl,
    client,
    ...pool,
    onError: (err) => log.warn({ err }, "Postgres is in trouble"),
  });
}
