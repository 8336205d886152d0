// What one process of the gateway is started with.
import { type FileTlsSource, tlsFromEnvironment } from "@emporium/grpc";
import { listenAddress, logLevel, readEnvironment } from "@emporium/runtime";
import { z } from "zod";
import type { SignInOptions } from "./session/sign-in.js";
import { everyScope, type UpstreamName } from "./upstream/public-services.js";

/** The configuration of a gateway. Times are in milliseconds. */
export interface GatewayConfig {
  /** Where to listen; port 0 takes any that is free. */
  listen: { host: string; port: number };
  /** The gateway's own certificate, for the services that it calls. */
  tls: FileTlsSource;
  /** gRPC name of each service. */
  addresses: Record<UpstreamName, string>;
  /** What browsers call the gateway, `https://shop.example`; absent means as the request says. */
  publicUrl?: string;
  /** How people sign in; absent means that calls bring their own token. */
  signIn?: SignInOptions;
  /** Folder of the pages; the small page in `public/` if absent. */
  consoleFolder?: string;
  /** Level of pino. */
  logLevel: string;
  /** Milliseconds that requests in progress get when the process ends. */
  shutdownGraceMs: number;
  /** Limits that differ from `defaultLimits`. */
  limits?: Partial<GatewayLimits>;
}

/** How much one client may ask of the gateway. */
export interface GatewayLimits {
  /** Bytes of a request's body, and of one message or WebSocket frame. */
  bodyBytes: number;
  /** Bytes of all headers of a request. */
  headerBytes: number;
  /** Characters of a path and query. */
  urlLength: number;
  /** Requests a minute of one address. */
  requestsPerMinute: number;
  /** Milliseconds for a client to send its request. */
  requestMs: number;
  /** Event-loop delay, in milliseconds, from which on requests are refused. */
  eventLoopDelayMs: number;
}

export const defaultLimits: GatewayLimits = {
  bodyBytes: 4 * 1024 * 1024,
  headerBytes: 16 * 1024,
  urlLength: 8 * 1024,
  requestsPerMinute: 1_200,
  requestMs: 30_000,
  eventLoopDelayMs: 1_000,
};

const Environment = z.object({
  HTTP_LISTEN_ADDR: listenAddress.prefault("127.0.0.1:8080"),
  INVENTORY_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50052"),
  ORDERS_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50051"),
  CHECKOUT_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50053"),
  PUBLIC_URL: z.url("the URL that browsers use").optional(),
  OIDC_ISSUER_URL: z.url("the URL of the issuer").optional(),
  OIDC_CLIENT_ID: z.string().min(1).default("console"),
  CONSOLE_DIR: z.string().min(1).optional(),
  LOG_LEVEL: logLevel,
  SHUTDOWN_GRACE_MS: z.coerce.number("milliseconds").int().nonnegative().default(10_000),
});

/** The configuration that the environment describes. Throws `ConfigurationError`. */
export function configFromEnvironment(environment = process.env): GatewayConfig {
  const env = readEnvironment(Environment, environment);
  return {
    listen: env.HTTP_LISTEN_ADDR,
    tls: tlsFromEnvironment("gateway", environment),
    addresses: {
      inventory: env.INVENTORY_ADDR,
      orders: env.ORDERS_ADDR,
      checkout: env.CHECKOUT_ADDR,
    },
    ...(env.PUBLIC_URL && { publicUrl: env.PUBLIC_URL }),
    ...(env.OIDC_ISSUER_URL && {
      signIn: { issuer: env.OIDC_ISSUER_URL, clientId: env.OIDC_CLIENT_ID, scopes: everyScope() },
    }),
    ...(env.CONSOLE_DIR && { consoleFolder: env.CONSOLE_DIR }),
    logLevel: env.LOG_LEVEL,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
  };
}
