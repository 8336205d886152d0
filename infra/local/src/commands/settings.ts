import { join } from "node:path";
import { currency, logLevel, readEnvironment } from "@emporium/runtime";
import { z } from "zod";
import { type Ports, portSettings } from "../ports.js";
import { stateDirectory } from "../project.js";

/** What the environment says about the shop of `npm start`. */
export interface ShopSettings {
  /** Where its data is. */
  directory: string;
  ports: Required<Ports>;
  /** ISO 4217 code of all prices. */
  currency: string;
  /** Of the services' logs. */
  logLevel: string;
}

/** Below the ports that systems hand out, and away from where such servers usually are. */
const [POSTGRES, NATS, ISSUER] = [15432, 14222, 18443];

const port = (usual: number) => {
  const expected = `a port from 1 to 65535, usually ${usual}`;
  return z.coerce
    .number(expected)
    .int(expected)
    .min(1, expected)
    .max(65535, expected)
    .default(usual);
};

const Environment = z.object({
  EMPORIUM_DIR: z.string().min(1, "a folder").default(join(stateDirectory, "shop")),
  [portSettings.postgres]: port(POSTGRES),
  [portSettings.nats]: port(NATS),
  [portSettings.issuer]: port(ISSUER),
  [portSettings.orders]: port(50051),
  [portSettings.inventory]: port(50052),
  [portSettings.checkout]: port(50053),
  [portSettings.gateway]: port(8080),
  SHOP_CURRENCY: currency,
  LOG_LEVEL: logLevel,
});

/** The settings that the environment describes. Throws `ConfigurationError`. */
export function shopSettings(environment: NodeJS.ProcessEnv = process.env): ShopSettings {
  const values = readEnvironment(Environment, environment);
  const ports = Object.entries(portSettings).map(([name, variable]) => [name, values[variable]]);
  return {
    directory: values.EMPORIUM_DIR,
    ports: Object.fromEntries(ports) as Required<Ports>,
    currency: values.SHOP_CURRENCY,
    logLevel: values.LOG_LEVEL,
  };
}
