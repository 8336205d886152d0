import { DataKeys } from "@emporium/database";
import {
  type Clock,
  type FaultPoint,
  type Logger,
  readBy,
  readEnvironment,
} from "@emporium/runtime";
import {
  milliseconds,
  type ServiceConfig,
  serviceConfig,
  serviceEnvironment,
} from "@emporium/service";
import { z } from "zod";
import { type FaultPointName, faultPoints } from "./fault-points.js";

/** What one process of the service is started with. Times are in milliseconds. */
export interface CheckoutConfig extends ServiceConfig {
  /** The key that gets the service tokens of its own, besides whose tokens are taken. */
  oidc: ServiceConfig["oidc"] & { keyFile: string };
  /** What addresses are sealed with in the database. */
  dataKeys: DataKeys;
  /** gRPC name of inventory, `dns:///inventory:50052`. */
  inventoryAddress: string;
  /** gRPC name of orders, `dns:///orders:50051`. */
  ordersAddress: string;
  /** How the sagas are driven, where it differs from `defaultSagaSettings`. */
  saga?: Partial<SagaSettings>;
  /** What `tok_slow` of the payment simulator takes; 2 s where absent. */
  slowPaymentMs?: number;
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
  leaseMs: 3_000,
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

const Environment = z.object({
  ...serviceEnvironment({ port: 50053, faultPoints }),
  OIDC_CLIENT_KEY_FILE: z.string("a PEM file with the service's key for the issuer").min(1),
  DATA_KEYS_FILE: readBy("a file with data keys", (path) => DataKeys.fromFile(path)),
  INVENTORY_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50052"),
  ORDERS_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50051"),
  SAGA_LEASE_MS: milliseconds(defaultSagaSettings.leaseMs),
  SAGA_TAKEOVER_MS: milliseconds(defaultSagaSettings.takeoverMs),
  SAGA_BUDGET_MS: milliseconds(defaultSagaSettings.budgetMs),
  SAGA_LINGER_MS: milliseconds(defaultSagaSettings.lingerMs),
  SAGA_CALL_MS: milliseconds(defaultSagaSettings.callMs),
  PAYMENT_AUTHORIZE_MS: milliseconds(defaultSagaSettings.authorizeMs),
  PAYMENT_SLOW_MS: milliseconds(2_000),
});

/** The configuration that the environment describes. Throws `ConfigurationError`. */
export function configFromEnvironment(environment = process.env): CheckoutConfig {
  const env = readEnvironment(Environment, environment);
  const common = serviceConfig("checkout", env, environment);
  return {
    ...common,
    oidc: { ...common.oidc, keyFile: env.OIDC_CLIENT_KEY_FILE },
    dataKeys: env.DATA_KEYS_FILE,
    inventoryAddress: env.INVENTORY_ADDR,
    ordersAddress: env.ORDERS_ADDR,
    saga: {
      leaseMs: env.SAGA_LEASE_MS,
      takeoverMs: env.SAGA_TAKEOVER_MS,
      budgetMs: env.SAGA_BUDGET_MS,
      lingerMs: env.SAGA_LINGER_MS,
      callMs: env.SAGA_CALL_MS,
      authorizeMs: env.PAYMENT_AUTHORIZE_MS,
    },
    slowPaymentMs: env.PAYMENT_SLOW_MS,
  };
}
