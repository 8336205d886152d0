import {
  type FileTlsSource,
  type ServerLimits,
  type SheddingLimits,
  tlsFromEnvironment,
} from "@emporium/grpc";
import {
  type Clock,
  currency,
  type FaultPoint,
  faultPointsFrom,
  listenAddress,
  logLevel,
  readBy,
} from "@emporium/runtime";
import { z } from "zod";

/** What one process of any service is started with; each service has more of its own. */
export interface ServiceConfig {
  /** Where to listen; port 0 takes any that is free. */
  listen: { host: string; port: number };
  /** Its own certificate, for those who call it and those whom it calls. */
  tls: FileTlsSource;
  /** Where health is told in plaintext, to probes without a certificate; nowhere if not given. */
  probes?: { host: string; port: number };
  /** Whose tokens are taken, and for whom they must be. */
  oidc: { issuer: string; audience: string };
  /** `postgresql://` URL of the service's own database. */
  databaseUrl: string;
  /**
   * Connections of a process to it, where they differ from `Database`'s. One more cancels and answers
   * for the process's health; the payment simulator of checkout has six of its own.
   */
  databasePoolSize?: number;
  /** NATS servers, and what the names of streams and subjects start with. */
  nats: { servers: string | string[]; prefix: string };
  /** ISO 4217 code of the currency of all prices. */
  currency: string;
  /** Level of pino: `trace` to `fatal`, or `silent`. */
  logLevel: string;
  /** Milliseconds that calls under way, and what was begun for them, get when the process ends. */
  shutdownGraceMs: number;
  /** When new calls are refused rather than served late, where it differs from the engine's limits. */
  shedding?: Partial<SheddingLimits>;
  /** Where they differ from the engine's limits for a peer. */
  limits?: Partial<ServerLimits>;
  /** Where rules get the time from; the clock of Postgres where absent, which all replicas share. */
  clock?: Clock;
  /** Called at the named places of the service; nothing happens there where absent. */
  faultPoint?: FaultPoint | undefined;
}

/**
 * A variable that is a time in milliseconds, more than none.
 *
 * @example
 * z.object({ SWEEP_INTERVAL_MS: milliseconds(5_000) });
 */
export const milliseconds = (fallback: number) =>
  z.coerce.number("milliseconds").int().positive().default(fallback);

const NATS_URLS = "one tls:// URL, or several with commas between";

/**
 * The variables that every service reads, to be put among its own. `port` is where it listens by
 * default, `faultPoints` are its places in `FAULT_POINTS`.
 *
 * @example
 * const Environment = z.object({
 *   ...serviceEnvironment({ port: 50052, faultPoints }),
 *   SWEEP_INTERVAL_MS: milliseconds(5_000),
 * });
 */
export function serviceEnvironment(own: { port: number; faultPoints: readonly string[] }) {
  const places = `places such as ${own.faultPoints[0]}=kill,${own.faultPoints.at(-1)}=stop@3`;
  return {
    GRPC_LISTEN_ADDR: listenAddress.prefault(`127.0.0.1:${own.port}`),
    HEALTH_LISTEN_ADDR: listenAddress.optional(),
    OIDC_ISSUER_URL: z.url("the https:// URL of an OpenID Connect issuer"),
    OIDC_AUDIENCE: z.string().min(1).default("emporium"),
    DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: "a postgresql:// URL" }),
    DATABASE_POOL_SIZE: z.coerce.number("connections").int().positive().optional(),
    NATS_URL: z.string(NATS_URLS).min(1, NATS_URLS),
    EVENT_PREFIX: z
      .string()
      .regex(/^[A-Za-z0-9_-]+$/, "letters, digits, - and _")
      .default("emporium"),
    SHOP_CURRENCY: currency,
    LOG_LEVEL: logLevel,
    SHUTDOWN_GRACE_MS: z.coerce.number("milliseconds").int().nonnegative().default(10_000),
    FAULT_POINTS: readBy(places, (text) => faultPointsFrom(text, own.faultPoints)).optional(),
  };
}

type ServiceEnvironment = z.infer<z.ZodObject<ReturnType<typeof serviceEnvironment>>>;

/**
 * What those variables say, and the files of the service's certificate beside them. Throws
 * `ConfigurationError` where one of these is missing.
 *
 * @example
 * const env = readEnvironment(Environment, environment);
 * return { ...serviceConfig("inventory", env, environment), sweepIntervalMs: env.SWEEP_INTERVAL_MS };
 */
export function serviceConfig(
  name: string,
  env: ServiceEnvironment,
  environment: Record<string, string | undefined>,
): ServiceConfig {
  return {
    listen: env.GRPC_LISTEN_ADDR,
    tls: tlsFromEnvironment(name, environment),
    ...(env.HEALTH_LISTEN_ADDR && { probes: env.HEALTH_LISTEN_ADDR }),
    oidc: { issuer: env.OIDC_ISSUER_URL, audience: env.OIDC_AUDIENCE },
    databaseUrl: env.DATABASE_URL,
    ...(env.DATABASE_POOL_SIZE && { databasePoolSize: env.DATABASE_POOL_SIZE }),
    nats: { servers: env.NATS_URL.split(","), prefix: env.EVENT_PREFIX },
    currency: env.SHOP_CURRENCY,
    logLevel: env.LOG_LEVEL,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    faultPoint: env.FAULT_POINTS,
  };
}
