import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "@emporium/database";
import type { Certificates } from "../certificates/certificates.js";
import { makeDataKeys } from "../data-keys/key-file.js";
import { Guard } from "../guard/guard.js";
import type { Server } from "../guard/guarded-server.js";
import { bootInfrastructure } from "../infrastructure.js";
import type { IssuerPlace } from "../issuer/login.js";
import type { Databases } from "../postgres/databases.js";
import { temporaryDirectory } from "../temporary.js";
import { type Launch, launchHere, launchProcesses } from "./launch.js";
import { loadService, type ServiceName } from "./services.js";
import type { ShopConfig } from "./shop-config.js";

/** What a shop's services stand on. */
export interface Ground {
  databases: Databases;
  natsUrl: string;
  certificates: Certificates;
  issuer: IssuerPlace;
  eventPrefix: string;
  dataKeysFile: string;
  /** Follows the name of every database. */
  suffix: string;
  launch: Launch;
  /** Postgres and NATS, where the shop has its own. */
  servers: Server[];
  /** Rejects when the guard of the shop's processes is killed. */
  lost: Promise<never>;
}

/** Boots Postgres and NATS, or takes a corner of those that run. */
export async function prepareGround(
  config: ShopConfig,
  boot: AsyncDisposableStack,
): Promise<Ground> {
  if (config.backing) return takeCorner(config, config.backing, boot);
  const infrastructure = boot.use(await bootInfrastructure(config));
  const { postgres, nats, issuer, certificates, guard, directory } = infrastructure;
  return {
    databases: postgres.databases,
    natsUrl: nats.url,
    certificates,
    issuer,
    eventPrefix: "emporium",
    dataKeysFile: makeDataKeys(directory),
    suffix: "",
    launch: config.processes
      ? launchProcesses({ ...config, guard, logs: join(directory, "logs") })
      : launchHere(config.settings ?? {}),
    servers: [postgres, nats, issuer],
    lost: guard.lost,
  };
}

async function takeCorner(
  config: ShopConfig,
  { databases, natsUrl, certificates, issuer }: NonNullable<ShopConfig["backing"]>,
  boot: AsyncDisposableStack,
): Promise<Ground> {
  const unique = randomBytes(6).toString("hex");
  const folder = await temporaryDirectory(tmpdir(), "emporium-shop");
  const corner = {
    databases,
    natsUrl,
    certificates,
    issuer,
    eventPrefix: `shop-${unique}`,
    dataKeysFile: makeDataKeys(folder),
    suffix: `_${unique}`,
    servers: [],
  };
  if (!config.processes) {
    boot.defer(() => rm(folder, { recursive: true }));
    const lost = Promise.withResolvers<never>().promise;
    return { ...corner, launch: launchHere(config.settings ?? {}), lost };
  }
  const guard = boot.use(Guard.start({ remove: folder }));
  const launch = launchProcesses({ ...config, guard, logs: folder });
  return { ...corner, launch, lost: guard.lost };
}

/** Makes a service's database and brings its tables up to date; returns its address. */
export async function prepareDatabase(ground: Ground, name: ServiceName): Promise<string> {
  const [url, { schema }] = await Promise.all([
    ground.databases.create(name + ground.suffix),
    loadService(name),
  ]);
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  return url;
}
