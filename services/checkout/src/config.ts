import { DataKeys } from "@emporium/database";
import {
  type FileTlsSource,
  type ServerLimits,
  type SheddingLimits,
  tlsFromEnvironment,
} from "@emporium/grpc";
import {
  type Clock,
  type FaultPoint,
  faultPointsFrom,
  listenAddress,
  type Logger,
  readBy,
  readEnvironment,
} from "@emporium/runtime";
import { z } from "zod";
import { type FaultPointName, faultPoints } from "./fault-points.js";

/** What one process of the service is started with. Times are in milliseconds. */
export interface CheckoutConfig {
  /** Where to listen; port 0 takes any that is free. */
  listen: { host: string; port: number };
  /** Its own certificate, for those who call it and those whom it calls. */
  tls: FileTlsSource;
  /** Where health is told in plaintext, to probes without a certificate; nowhere if not given. */
  probes?: { host: string; port: number };
  /** Whose tokens are taken, for whom they must be, and the key that gets the service its own. */
  oidc: { issuer: string; audience: string; keyFile: string };
  /** `postgresql://` URL of the service's own database. */
  databaseUrl: string;
  /** NATS servers, and what the names of streams and subjects start with. */
  nats: { servers: string | string[]; prefix: string };
  /** What addresses are sealed with in the database. */
  dataKeys: DataKeys;
  /** gRPC name of inventory, `dns:///inventory:50052`. */
  inventoryAddress: string;
  /** gRPC name of orders, `dns:///orders:50051`. */
  ordersAddress: string;
  /** ISO 4217 code of the currency of all prices. */
  currency: string;
  /** Level of pino: `trace` to `fatal`, or `silent`. */
  logLevel: string;
  /** What calls and sagas under way get when the process ends. */
  shutdownGraceMs: number;
  /** Where they differ from the engine's limits for new calls. */
  shedding?: Partial<SheddingLimits>;
  /** Where they differ from the engine's limits for a peer. */
  limits?: Partial<ServerLimits>;
  /** How the sagas are driven, where it differs from `defaultSagaSettings`. */
  saga?: Partial<SagaSettings>;
  /** What `tok_slow` of the payment simulator takes; 2 s where absent. */
  slowPaymentMs?: number;
  /** Called at the named places of the saga; nothing happens there where absent. */
  faultPoint?: FaultPoint | undefined;
  /** Where rules get the time from; the system's clock where absent. */
  clock?: Clock;
}

/** How sagas are driven; all in milliseconds. */
export interface SagaSettings {
  /** How long a lease lasts unless it is renewed: a dead process's checkouts wait that long. */
  leaseMs: number;
  /** Between two looks for checkouts that nobody drives. */
  takeoverMs: number;
  /** What one run of a saga gets; one that is not finished then is taken up again. */
  budgetMs: number;
  /** How long a step waits to be written together with the next. */
  lingerMs: number;
  /** What one call of a service, or of the payment provider, may take before it is repeated. */
  callMs: number;
  /** What the payment provider gets to authorize, all attempts together. */
  authorizeMs: number;
}

export const defaultSagaSettings: SagaSettings = {
  leaseMs: 5_000,
  takeoverMs: 1_000,
  budgetMs: 60_000,
  lingerMs: 200,
  callMs: 3_000,
  authorizeMs: 10_000,
};

/** What the parts of the service share. */
export interface Settings {
  clock: Clock;
  currency: string;
  saga: SagaSettings;
  slowPaymentMs: number;
  shutdownGraceMs: number;
  faultPoint: FaultPoint<FaultPointName>;
  log: Logger;
}

/** Under which token Nest knows the `Settings`. */
export const SETTINGS = Symbol("Settings");

const PLACES = "places of the saga, such as after-reserve=kill,before-capture=stop@3";

const milliseconds = (fallback: number) =>
  z.coerce.number("milliseconds").int().positive().default(fallback);

const Environment = z.object({
  GRPC_LISTEN_ADDR: listenAddress.prefault("127.0.0.1:50053"),
  HEALTH_LISTEN_ADDR: listenAddress.optional(),
  OIDC_ISSUER_URL: z.url("the https:// URL of an OpenID Connect issuer"),
  OIDC_AUDIENCE: z.string().min(1).default("emporium"),
  OIDC_CLIENT_KEY_FILE: z.string("a PEM file with the service's key for the issuer").min(1),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: "a postgresql:// URL" }),
  NATS_URL: z.string("one tls:// URL, or several with commas between").min(1),
  EVENT_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/, "letters, digits, - and _")
    .default("emporium"),
  DATA_KEYS_FILE: readBy("a file with data keys", (path) => DataKeys.fromFile(path)),
  INVENTORY_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50052"),
  ORDERS_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50051"),
  SHOP_CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, "an ISO 4217 code, such as GBP")
    .default("GBP"),
  LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
      error: "trace, debug, info, warn, error, fatal or silent",
    })
    .default("info"),
  SHUTDOWN_GRACE_MS: z.coerce.number("milliseconds").int().nonnegative().default(10_000),
  SAGA_LEASE_MS: milliseconds(defaultSagaSettings.leaseMs),
  SAGA_TAKEOVER_MS: milliseconds(defaultSagaSettings.takeoverMs),
  SAGA_BUDGET_MS: milliseconds(defaultSagaSettings.budgetMs),
  SAGA_LINGER_MS: milliseconds(defaultSagaSettings.lingerMs),
  SAGA_CALL_MS: milliseconds(defaultSagaSettings.callMs),
  PAYMENT_AUTHORIZE_MS: milliseconds(defaultSagaSettings.authorizeMs),
  PAYMENT_SLOW_MS: milliseconds(2_000),
  FAULT_POINTS: readBy(PLACES, (text) => faultPointsFrom(text, faultPoints)).optional(),
});

/** The configuration that the environment describes. Throws `ConfigurationError`. */
export function configFromEnvironment(environment = process.env): CheckoutConfig {
  const env = readEnvironment(Environment, environment);
  return {
    listen: env.GRPC_LISTEN_ADDR,
    tls: tlsFromEnvironment("checkout", environment),
    ...(env.HEALTH_LISTEN_ADDR && { probes: env.HEALTH_LISTEN_ADDR }),
    oidc: {
      issuer: env.OIDC_ISSUER_URL,
      audience: env.OIDC_AUDIENCE,
      keyFile: env.OIDC_CLIENT_KEY_FILE,
    },
    databaseUrl: env.DATABASE_URL,
    nats: { servers: env.NATS_URL.split(","), prefix: env.EVENT_PREFIX },
    dataKeys: env.DATA_KEYS_FILE,
    inventoryAddress: env.INVENTORY_ADDR,
    ordersAddress: env.ORDERS_ADDR,
    currency: env.SHOP_CURRENCY,
    logLevel: env.LOG_LEVEL,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    saga: {
      leaseMs: env.SAGA_LEASE_MS,
      takeoverMs: env.SAGA_TAKEOVER_MS,
      budgetMs: env.SAGA_BUDGET_MS,
      lingerMs: env.SAGA_LINGER_MS,
      callMs: env.SAGA_CALL_MS,
      authorizeMs: env.PAYMENT_AUTHORIZE_MS,
    },
    slowPaymentMs: env.PAYMENT_SLOW_MS,
    faultPoint: env.FAULT_POINTS,
  };
}
