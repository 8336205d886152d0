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

export const DEFAULT_RESERVATION_TTL_MS = 15 * 60_000;
export const DEFAULT_SWEEP_INTERVAL_MS = 5_000;

/** What an inventory process is told at its start. */
export interface InventoryConfig {
  /** Where to listen; port 0 takes any that is free. */
  listen: { host: string; port: number };
  /** Its own certificate, for those who call it and those whom it calls. */
  tls: FileTlsSource;
  /** Where health is told in plaintext, to probes without a certificate; nowhere if not given. */
  probes?: { host: string; port: number };
  /** Whose tokens are taken, and for whom they must be. */
  oidc: { issuer: string; audience: string };
  databaseUrl: string;
  nats: {
    servers: string | string[];
    /** First part of every subject and stream name. */
    prefix: string;
  };
  /** ISO 4217 code of the currency of all prices. */
  currency: string;
  logLevel: string;
  /** Milliseconds that a drain gives to calls under way. */
  shutdownGraceMs: number;
  /** Where they differ from the engine's limits for new calls. */
  shedding?: Partial<SheddingLimits>;
  /** Where they differ from the engine's limits for a peer. */
  limits?: Partial<ServerLimits>;
  /** How long a reservation holds its units, in milliseconds; 15 minutes unless given. */
  reservationTtlMs?: number;
  /** Milliseconds between two sweeps for reservations whose time is over; 5 seconds unless given. */
  sweepIntervalMs?: number;
  /** What time it is for business rules; the system's clock unless given. */
  clock?: Clock;
  /** Called at the named places of the service; nothing happens there where absent. */
  faultPoint?: FaultPoint | undefined;
}

/** What the rules of the shop are set to. */
export interface Settings {
  clock: Clock;
  currency: string;
  reservationTtlMs: number;
}

/** Under which token Nest knows the `Settings`. */
export const SETTINGS = Symbol("Settings");

const milliseconds = (fallback: number) =>
  z.coerce.number("milliseconds").int().positive().default(fallback);

const PLACES = "places of the service, such as relay.published=kill,after-ReserveStock=stop@3";

const Environment = z.object({
  GRPC_LISTEN_ADDR: listenAddress.prefault("127.0.0.1:50052"),
  HEALTH_LISTEN_ADDR: listenAddress.optional(),
  OIDC_ISSUER_URL: z.url("the https:// URL of an OpenID Connect issuer"),
  OIDC_AUDIENCE: z.string().min(1).default("emporium"),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: "a postgresql:// URL" }),
  NATS_URL: z.string("one tls:// URL, or several with commas between").min(1),
  EVENT_PREFIX: z
    .string()
    .regex(/^[a-z0-9-]+$/, "small letters, digits and hyphens")
    .default("emporium"),
  SHOP_CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, "an ISO 4217 code, such as GBP")
    .default("GBP"),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  SHUTDOWN_GRACE_MS: milliseconds(10_000),
  RESERVATION_TTL_MS: milliseconds(DEFAULT_RESERVATION_TTL_MS),
  SWEEP_INTERVAL_MS: milliseconds(DEFAULT_SWEEP_INTERVAL_MS),
  FAULT_POINTS: readBy(PLACES, (text) => faultPointsFrom(text, faultPoints)).optional(),
});

/** The configuration that the environment states; throws `ConfigurationError` naming variables. */
export function configFromEnvironment(environment = process.env): InventoryConfig {
  const env = readEnvironment(Environment, environment);
  return {
    listen: env.GRPC_LISTEN_ADDR,
    tls: tlsFromEnvironment("inventory", environment),
    ...(env.HEALTH_LISTEN_ADDR && { probes: env.HEALTH_LISTEN_ADDR }),
    oidc: { issuer: env.OIDC_ISSUER_URL, audience: env.OIDC_AUDIENCE },
    databaseUrl: env.DATABASE_URL,
    nats: { servers: env.NATS_URL.split(","), prefix: env.EVENT_PREFIX },
    currency: env.SHOP_CURRENCY,
    logLevel: env.LOG_LEVEL,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    reservationTtlMs: env.RESERVATION_TTL_MS,
    sweepIntervalMs: env.SWEEP_INTERVAL_MS,
    faultPoint: env.FAULT_POINTS,
  };
}
