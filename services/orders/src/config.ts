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
  readBy,
  readEnvironment,
} from "@emporium/runtime";
import { z } from "zod";
import { faultPoints } from "./fault-points.js";

/** What one process of the service is started with. */
export interface OrdersConfig {
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
  /** ISO 4217 code that a price without a currency is in. */
  currency: string;
  /** Tax that prices include, in basis points of the price without it; 0 where it is left out. */
  taxRateBasisPoints?: number;
  /** Level of pino: `trace` to `fatal`, or `silent`. */
  logLevel: string;
  /** Milliseconds that calls under way get when the process ends. */
  shutdownGraceMs: number;
  /** When new calls are refused rather than served late, where it differs from the engine's limits. */
  shedding?: Partial<SheddingLimits>;
  /** Where they differ from the engine's limits for a peer. */
  limits?: Partial<ServerLimits>;
  /** Where orders get their time from; the system's clock where none is given. */
  clock?: Clock;
  /** Called at the named places of the service; nothing happens there where absent. */
  faultPoint?: FaultPoint | undefined;
}

/** What the rules of the shop are set to. */
export interface Settings {
  clock: Clock;
  /** ISO 4217 code that a price without a currency is in. */
  currency: string;
  /** Tax that prices include, in basis points of the price without it: 2000 are 20 %. */
  taxRateBasisPoints: number;
}

/** Under which token Nest knows the `Settings`. */
export const SETTINGS = Symbol("Settings");

const NATS_URLS = "one tls:// URL, or several with commas between";

const PLACES = "places of the service, such as relay.published=kill,after-CreateOrder=stop@3";

const Environment = z.object({
  GRPC_LISTEN_ADDR: listenAddress.prefault("127.0.0.1:50051"),
  HEALTH_LISTEN_ADDR: listenAddress.optional(),
  OIDC_ISSUER_URL: z.url("the https:// URL of an OpenID Connect issuer"),
  OIDC_AUDIENCE: z.string().min(1).default("emporium"),
  OIDC_CLIENT_KEY_FILE: z.string("a PEM file with the service's key for the issuer").min(1),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: "a postgresql:// URL" }),
  NATS_URL: z.string(NATS_URLS).min(1, NATS_URLS),
  EVENT_PREFIX: z
    .string()
    .regex(/^[a-z0-9-]+$/, "small letters, digits and hyphens")
    .default("emporium"),
  DATA_KEYS_FILE: readBy("a file with data keys", (path) => DataKeys.fromFile(path)),
  INVENTORY_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50052"),
  SHOP_CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, "an ISO 4217 code")
    .default("GBP"),
  SHOP_TAX_RATE_BASIS_POINTS: z.coerce
    .number("basis points, 0 to 10000")
    .int()
    .min(0)
    .max(10_000)
    .default(0),
  LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
      error: "trace, debug, info, warn, error, fatal or silent",
    })
    .default("info"),
  SHUTDOWN_GRACE_MS: z.coerce.number("milliseconds").int().nonnegative().default(10_000),
  FAULT_POINTS: readBy(PLACES, (text) => faultPointsFrom(text, faultPoints)).optional(),
});

/** The configuration that the environment describes. Throws `ConfigurationError`. */
export function configFromEnvironment(environment = process.env): OrdersConfig {
  const env = readEnvironment(Environment, environment);
  return {
    listen: env.GRPC_LISTEN_ADDR,
    tls: tlsFromEnvironment("orders", environment),
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
    currency: env.SHOP_CURRENCY,
    taxRateBasisPoints: env.SHOP_TAX_RATE_BASIS_POINTS,
    logLevel: env.LOG_LEVEL,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    faultPoint: env.FAULT_POINTS,
  };
}
