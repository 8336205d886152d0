import { setImmediate } from "node:timers/promises";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Interceptor, ServiceImpl } from "@connectrpc/connect";
import { Health as HealthService } from "@emporium/contracts/grpc/health/v1";
import { ServerReflection } from "@emporium/contracts/grpc/reflection/v1";
import { ServerReflection as ServerReflectionAlpha } from "@emporium/contracts/grpc/reflection/v1alpha";
import { EngineReason } from "@emporium/contracts/options/v1";
import { Logger } from "@nestjs/common";
import { type CustomTransportStrategy, Server } from "@nestjs/microservices";
import type { HandlerExtras } from "./controller.js";
import { countDeprecatedCalls, type DeprecatedCallsOptions } from "./deprecation.js";
import { type EngineClock, realTime } from "./engine-clock.js";
import type { AwayCheck, ErrorLog } from "./exceptions.js";
import { engineFailure } from "./failure.js";
import { type Dependency, type DependencyCheck, Health } from "./health.js";
import type { AnyHandler } from "./invoke.js";
import { defaultLimits, type ServerLimits } from "./limits.js";
import { hostAndPort, listen, type Listener, type Place } from "./listener.js";
import type { CallObserver } from "./observe.js";
import { policyOf } from "./policy.js";
import { Reflection } from "./reflection.js";
import { Refusals } from "./refusals.js";
import { defaultShedding, Shedding, type SheddingLimits } from "./shedding.js";
import { type RunningCall, RunningCalls } from "./running-call.js";
import { serve, type ServeOptions } from "./serve.js";
import { GrpcJsWireServer } from "./server/grpc-js-wire-server.js";
import { Http2WireServer } from "./server/http2-wire-server.js";
import type { WireServer } from "./server/wire-server.js";
import type { TlsSource } from "./tls.js";

/** Milliseconds that peers have to hear of the end of calls that outstay the grace time. */
const LAST_WORDS_MS = 500;

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
  /**
   * What speaks HTTP/2: our own (`@emporium/http2`), or grpc-js's server on `node:http2`. They behave the
   * same; the first takes a fraction of the CPU time.
   */
  http2Transport?: "emporium" | "node";
  /**
   * Offers `grpc.channelz.v1.Channelz` and counts for it, which costs some of every call. grpc-js counts,
   * so the transport is "node" then.
   */
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
  /** What was refused at the door, by cause. */
  readonly refusals: Refusals;
  #server: WireServer;
  #services = new Map<string, DescService>();
  #serving: ServeOptions;
  #shedding: Shedding;
  #limits: ServerLimits;
  #longest = new Map<string, number>();
  #servers: WireServer[];
  #listeners: Listener[] = [];
  #address: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(private readonly options: GrpcServerOptions) {
    super();
    this.#limits = { ...defaultLimits, ...options.limits };
    const clock = options.clock ?? realTime;
    const calls = new RunningCalls(clock);
    this.#shedding = new Shedding({ ...defaultShedding, ...options.shedding }, () => calls.size);
    this.#serving = {
      interceptors: options.interceptors ?? [],
      log: options.log ?? nestLog(),
      isAway: options.isAway,
      clock,
      observers: options.observers ?? [],
      traced: true,
      onDeprecated: countDeprecatedCalls(options.deprecatedCalls),
      refusal: () => this.#shedding.refusal(),
      calls,
    };
    this.#server = this.#wireServer();
    this.#servers = [this.#server];
    this.refusals = new Refusals(this.#serving.log);
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

  /** Connections that are open. */
  get connections(): number {
    return this.#listeners.reduce((sum, listener) => sum + listener.connections, 0);
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
    const port = await this.#listen(this.#server, listen, "GRPC_LISTEN_ADDR", tls);
    this.#address = hostAndPort(listen.host, port);
    if (probes) await this.#answerProbes(probes);
    void this.health.start();
  }

  /** The engine's own services answer also when others are shed, and nobody intercepts them. */
  #addOwn(service: DescService, handlers: object, server = this.#server): void {
    const { log, clock, calls } = this.#serving;
    const serving = { interceptors: [], observers: [], traced: false, log, clock, calls };
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
    const registration = serve(method, handler, serving);
    this.#longest.set(registration.path, policyOf(method).longestMs);
    server.register(registration);
  }

  #wireServer(): WireServer {
    const { channelz = false, http2Transport = channelz ? "node" : "emporium" } = this.options;
    const options = {
      limits: this.#limits,
      longestOf: (path: string) => this.#longest.get(path),
      now: () => this.#serving.clock.now(),
    };
    return http2Transport === "node"
      ? new GrpcJsWireServer(options, channelz)
      : new Http2WireServer(options);
  }

  async #listen(server: WireServer, place: Place, setting: string, tls?: TlsSource) {
    const listener = await listen(server, place, tls, {
      limits: this.#limits,
      refusals: this.refusals,
    }).catch((error: Error) => {
      throw new ListenError(place, setting, error);
    });
    this.#listeners.push(listener);
    return listener.port;
  }

  async #answerProbes(place: Place): Promise<void> {
    const server = this.#wireServer();
    this.#addOwn(HealthService, this.health.handlers, server);
    await this.#listen(server, place, "HEALTH_LISTEN_ADDR");
    this.#servers.push(server);
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
    // grpc-js knows of no listener but its own, and would not wait for the connections of ours.
    const closed = this.#listeners.map((listener) => listener.close());
    for (const server of this.#servers) server.shutdown();
    this.#end((call) => !call.awaitsAnswer);
    let force: NodeJS.Timeout | undefined;
    const grace = setTimeout(() => {
      this.#end(() => true);
      force = setTimeout(() => {
        for (const listener of this.#listeners) listener.destroy();
      }, LAST_WORDS_MS);
    }, this.options.graceMs ?? 10_000);
    await Promise.all(closed);
    clearTimeout(grace);
    clearTimeout(force);
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

  /** The grpc-js server, where `http2Transport` is "node". */
  unwrap<T>(): T {
    return (this.#server instanceof GrpcJsWireServer ? this.#server.server : this.#server) as T;
  }
}

/** The address cannot be listened on. */
export class ListenError extends Error {
  override name = "ListenError";

  /** `setting` is the environment variable that sets another address. */
  constructor({ host, port }: Place, setting: string, cause: Error) {
    const why = cause.message.includes("EADDRINUSE") ? "it is taken" : cause.message;
    super(`Cannot listen on ${hostAndPort(host, port)}: ${why}. ${setting} sets another address.`, {
      cause,
    });
  }
}

function nestLog(): ErrorLog {
  const logger = new Logger("Grpc");
  return { error: (fields, message) => logger.error(fields, message) };
}
