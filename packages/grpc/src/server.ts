import { setImmediate } from "node:timers/promises";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Interceptor, ServiceImpl } from "@connectrpc/connect";
import { Health as HealthService } from "@emporium/contracts/grpc/health/v1";
import { ServerReflection } from "@emporium/contracts/grpc/reflection/v1";
import { ServerReflection as ServerReflectionAlpha } from "@emporium/contracts/grpc/reflection/v1alpha";
import { EngineReason } from "@emporium/contracts/options/v1";
import * as grpc from "@grpc/grpc-js";
import { Logger } from "@nestjs/common";
import { type CustomTransportStrategy, Server } from "@nestjs/microservices";
import type { HandlerExtras } from "./controller.js";
import { countDeprecatedCalls, type DeprecatedCallsOptions } from "./deprecation.js";
import { type EngineClock, realTime } from "./engine-clock.js";
import type { AwayCheck, ErrorLog } from "./exceptions.js";
import { engineFailure } from "./failure.js";
import { type Dependency, type DependencyCheck, Health } from "./health.js";
import type { AnyHandler } from "./invoke.js";
import { defaultLimits, type ServerLimits, toServerOptions } from "./limits.js";
import type { CallObserver } from "./observe.js";
import { Reflection } from "./reflection.js";
import { defaultShedding, Shedding, type SheddingLimits } from "./shedding.js";
import type { RunningCall } from "./running-call.js";
import { serve, type ServeOptions } from "./serve.js";
import type { TlsSource } from "./tls.js";
import { listenTls, type TlsListener } from "./tls-listener.js";

/** An address to listen on. */
interface Place {
  host: string;
  port: number;
}

/** What a server is made of. */
export interface GrpcServerOptions {
  /** Where to listen; port 0 takes any that is free. */
  listen: Place;
  /** Own certificate; callers must have one as well. Plaintext where none is given. */
  tls?: TlsSource;
  /**
   * Where health is told to whoever asks, in plaintext, and nothing else is: for probes that have no
   * certificate. Nowhere if not given.
   */
  probes?: Place;
  /** Connect interceptors, the first one outermost, for unary calls and streams alike. */
  interceptors?: Interceptor[];
  /** What the process needs, by name; without it the process, or those services, do not serve. */
  dependencies?: Record<string, DependencyCheck | Dependency>;
  /** Tells which errors mean that a dependency is away: such calls are UNAVAILABLE, not INTERNAL. */
  isAway?: AwayCheck;
  /** Milliseconds between two looks at the dependencies. */
  healthIntervalMs?: number;
  /** Milliseconds that a drain gives to calls under way. */
  graceMs?: number;
  /** Where they differ from `defaultLimits`. */
  limits?: Partial<ServerLimits>;
  /** Where they differ from `defaultShedding`. */
  shedding?: Partial<SheddingLimits>;
  /** Offers `grpc.channelz.v1.Channelz` and counts for it, which costs some of every call. */
  channelz?: boolean;
  /** Told of every call when it has ended. */
  observers?: CallObserver[];
  /** How calls of deprecated methods are counted, where it differs from the engine's way. */
  deprecatedCalls?: DeprecatedCallsOptions;
  /** Where the time comes from by which the contract's limits are measured. */
  clock?: EngineClock;
  /** Where errors go that callers do not see; Nest's logger where none is given. */
  log?: ErrorLog;
}

/**
 * A gRPC server as a Nest transport: @grpc/grpc-js on the wire, Connect's programming model above,
 * with health, reflection, limits and an orderly end.
 *
 * @example
 * const server = new GrpcServer({ listen: { host: "0.0.0.0", port: 50052 } });
 * const app = await NestFactory.createMicroservice(GrpcModule.around(InventoryModule), {
 *   strategy: server,
 * });
 * await app.listen(); // rejects with a clear error when the port is taken
 * await app.close(); // drains
 */
export class GrpcServer extends Server implements CustomTransportStrategy {
  /** Health of this process, also for those who do not ask by gRPC. */
  readonly health: Health;
  #server: grpc.Server;
  #services = new Map<string, DescService>();
  #serving: ServeOptions;
  #shedding: Shedding;
  #listener: TlsListener | undefined;
  #probes: grpc.Server | undefined;
  #address: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(private readonly options: GrpcServerOptions) {
    super();
    this.#server = new grpc.Server({
      ...toServerOptions({ ...defaultLimits, ...options.limits }),
      "grpc.enable_channelz": options.channelz ? 1 : 0,
    });
    if (options.channelz) grpc.addAdminServicesToServer(this.#server);
    const calls = new Set<RunningCall>();
    this.#shedding = new Shedding({ ...defaultShedding, ...options.shedding }, () => calls.size);
    this.#serving = {
      interceptors: options.interceptors ?? [],
      log: options.log ?? nestLog(),
      isAway: options.isAway,
      clock: options.clock ?? realTime,
      observers: options.observers ?? [],
      onDeprecated: countDeprecatedCalls(options.deprecatedCalls),
      refusal: () => this.#shedding.refusal(),
      calls,
    };
    this.health = new Health(
      () => this.#services.keys(),
      options.dependencies ?? {},
      options.healthIntervalMs ?? 2000,
    );
  }

  /** `host:port` that the server listens on. Throws before it does. */
  get address(): string {
    if (!this.#address) throw new Error("The server does not listen yet");
    return this.#address;
  }

  /** Calls that are under way. */
  get callsInFlight(): number {
    return this.#serving.calls.size;
  }

  /** Adds a service outside of Nest, before `listen`. Methods without a handler are UNIMPLEMENTED. */
  addService<Service extends DescService>(
    service: Service,
    handlers: Partial<ServiceImpl<Service>>,
  ): void {
    for (const method of service.methods) {
      const handler = (handlers as Record<string, AnyHandler>)[method.localName];
      if (handler) this.#register(method, handler.bind(handlers), this.#serving);
    }
  }

  /** Called by Nest. */
  listen(callback: (error?: Error) => void): void {
    this.#start().then(() => callback(), callback);
  }

  async #start(): Promise<void> {
    for (const handler of this.getHandlers().values()) {
      const { method } = (handler.extras ?? {}) as Partial<HandlerExtras>;
      if (method) this.#register(method, handler, this.#serving);
    }
    const contract = [...this.#services.values()];
    const reflection = new Reflection([...contract, HealthService, ServerReflection]);
    this.#addOwn(HealthService, this.health.handlers);
    this.#addOwn(ServerReflection, reflection.handlers);
    this.#addOwn(ServerReflectionAlpha, reflection.handlers);
    const { listen, tls, probes } = this.options;
    this.#address = `${listen.host}:${await this.#listen(listen, tls)}`;
    if (probes) this.#probes = await this.#answerProbes(probes);
    void this.health.start();
  }

  /** The engine's own services answer also when others are shed, and nobody intercepts them. */
  #addOwn(service: DescService, handlers: object, server = this.#server): void {
    const { log, clock, calls } = this.#serving;
    const serving = { interceptors: [], observers: [], log, clock, calls };
    for (const method of service.methods) {
      const handler = (handlers as Record<string, AnyHandler>)[method.localName]!;
      this.#register(method, handler.bind(handlers), serving, server);
    }
  }

  #register(
    method: DescMethod,
    handler: AnyHandler,
    serving: ServeOptions,
    server = this.#server,
  ): void {
    this.#services.set(method.parent.typeName, method.parent);
    const { path, handler: handle, ...rest } = serve(method, handler, serving);
    server.register(path, handle as never, rest.serialize, rest.deserialize, rest.type);
  }

  async #listen(place: Place, tls: TlsSource | undefined): Promise<number> {
    if (!tls) return listenPlainly(this.#server, place, "GRPC_LISTEN_ADDR");
    this.#listener = await listenTls(this.#server, tls, place).catch((error: Error) => {
      throw new ListenError(place, "GRPC_LISTEN_ADDR", error);
    });
    return this.#listener.port;
  }

  async #answerProbes(place: Place): Promise<grpc.Server> {
    const server = new grpc.Server(toServerOptions({ ...defaultLimits, ...this.options.limits }));
    this.#addOwn(HealthService, this.health.handlers, server);
    await listenPlainly(server, place, "HEALTH_LISTEN_ADDR");
    return server;
  }

  /**
   * Drains, called by Nest: NOT_SERVING, GOAWAY, streams end with UNAVAILABLE so that callers resume
   * elsewhere, unary calls and uploads finish. What is left after the grace time is ended.
   */
  close(): Promise<void> {
    return (this.#closed ??= this.#drain());
  }

  async #drain(): Promise<void> {
    this.health.drain();
    // Those who watch hear NOT_SERVING before their stream ends.
    await setImmediate();
    const servers = [this.#server, ...(this.#probes ? [this.#probes] : [])];
    const closed = servers.map(
      (server) => new Promise<void>((resolve) => server.tryShutdown(() => resolve())),
    );
    if (this.#listener) closed.push(this.#listener.close());
    this.#end((call) => !call.awaitsAnswer);
    const grace = setTimeout(() => {
      this.#end(() => true);
      for (const server of servers) server.forceShutdown();
    }, this.options.graceMs ?? 10_000);
    await Promise.all(closed);
    clearTimeout(grace);
    this.#shedding[Symbol.dispose]();
  }

  #end(which: (call: RunningCall) => boolean): void {
    for (const call of [...this.#serving.calls].filter(which))
      call.end(
        engineFailure(EngineReason.SHUTTING_DOWN, "The server is going away", {
          retryDelay: { seconds: 0n },
        }),
      );
  }

  /** Part of Nest's interface; a gRPC server tells nothing by events. */
  on(): void {}

  /** The grpc-js server, for what the engine does not offer. */
  unwrap<T>(): T {
    return this.#server as T;
  }
}

function listenPlainly(server: grpc.Server, place: Place, setting: string): Promise<number> {
  const credentials = grpc.ServerCredentials.createInsecure();
  return new Promise((resolve, reject) =>
    server.bindAsync(`${place.host}:${place.port}`, credentials, (error, bound) =>
      error ? reject(new ListenError(place, setting, error)) : resolve(bound),
    ),
  );
}

/** The address cannot be listened on. */
export class ListenError extends Error {
  override name = "ListenError";

  /** `setting` is the environment variable that sets another address. */
  constructor({ host, port }: Place, setting: string, cause: Error) {
    const why = cause.message.includes("EADDRINUSE") ? "it is taken" : cause.message;
    super(`Cannot listen on ${host}:${port}: ${why}. ${setting} sets another address.`, { cause });
  }
}

function nestLog(): ErrorLog {
  const logger = new Logger("Grpc");
  return { error: (fields, message) => logger.error(fields, message) };
}
