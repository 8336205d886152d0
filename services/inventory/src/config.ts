import { type Clock, readEnvironment } from "@emporium/runtime";
import {
  milliseconds,
  type ServiceConfig,
  serviceConfig,
  serviceEnvironment,
} from "@emporium/service";
import { z } from "zod";
import { faultPoints } from "./fault-points.js";

export const DEFAULT_RESERVATION_TTL_MS = 15 * 60_000;
export const DEFAULT_SWEEP_INTERVAL_MS = 5_000;

/** What an inventory process is told at its start. */
export interface InventoryConfig extends ServiceConfig {
  /** How long a reservation holds its units, in milliseconds; 15 minutes unless given. */
  reservationTtlMs?: number;
  /** Milliseconds between two sweeps for reservations whose time is over; 5 seconds unless given. */
  sweepIntervalMs?: number;
}

/** What the rules of the shop are set to. */
export interface Settings {
  clock: Clock;
  currency: string;
  reservationTtlMs: number;
}

/** Under which token Nest knows the `Settings`. */
export const SETTINGS = Symbol("Settings");

const Environment = z.object({
  ...serviceEnvironment({ port: 50052, faultPoints }),
  RESERVATION_TTL_MS: milliseconds(DEFAULT_RESERVATION_TTL_MS),
  SWEEP_INTERVAL_MS: milliseconds(DEFAULT_SWEEP_INTERVAL_MS),
});

/** The configuration that the environment states; throws `ConfigurationError` naming variables. */
export function configFromEnvironment(environment = process.env): InventoryConfig {
  const env = readEnvironment(Environment, environment);
  return {
    ...serviceConfig("inventory", env, environment),
    reservationTtlMs: env.RESERVATION_TTL_MS,
    sweepIntervalMs: env.SWEEP_INTERVAL_MS,
  };
}
