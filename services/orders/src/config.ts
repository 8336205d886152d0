import { DataKeys } from "@emporium/database";
import { type Clock, readBy, readEnvironment } from "@emporium/runtime";
import { type ServiceConfig, serviceConfig, serviceEnvironment } from "@emporium/service";
import { z } from "zod";
import { faultPoints } from "./fault-points.js";

/** What one process of the service is started with. */
export interface OrdersConfig extends ServiceConfig {
  /** The key that gets the service tokens of its own, besides whose tokens are taken. */
  oidc: ServiceConfig["oidc"] & { keyFile: string };
  /** What addresses are sealed with in the database. */
  dataKeys: DataKeys;
  /** gRPC name of inventory, `dns:///inventory:50052`. */
  inventoryAddress: string;
  /** Tax that prices include, in basis points of the price without it; 0 where it is left out. */
  taxRateBasisPoints?: number;
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

const Environment = z.object({
  ...serviceEnvironment({ port: 50051, faultPoints }),
  OIDC_CLIENT_KEY_FILE: z.string("a PEM file with the service's key for the issuer").min(1),
  DATA_KEYS_FILE: readBy("a file with data keys", (path) => DataKeys.fromFile(path)),
  INVENTORY_ADDR: z.string().min(1, "a gRPC name").default("dns:///127.0.0.1:50052"),
  SHOP_TAX_RATE_BASIS_POINTS: z.coerce
    .number("basis points, 0 to 10000")
    .int()
    .min(0)
    .max(10_000)
    .default(0),
});

/** The configuration that the environment describes. Throws `ConfigurationError`. */
export function configFromEnvironment(environment = process.env): OrdersConfig {
  const env = readEnvironment(Environment, environment);
  const common = serviceConfig("orders", env, environment);
  return {
    ...common,
    oidc: { ...common.oidc, keyFile: env.OIDC_CLIENT_KEY_FILE },
    dataKeys: env.DATA_KEYS_FILE,
    inventoryAddress: env.INVENTORY_ADDR,
    taxRateBasisPoints: env.SHOP_TAX_RATE_BASIS_POINTS,
  };
}
