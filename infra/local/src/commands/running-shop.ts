import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive, type ProcessIdentity } from "../guard/identity.js";
import type { ServiceName } from "../shop/services.js";

/** What a shop that runs tells others about itself, in `shop.json` of its directory. */
export interface RunningShop {
  /** The process that runs it. */
  runner: ProcessIdentity;
  /** gRPC names of the services. */
  addresses: Record<ServiceName, string>;
  /** Addresses of the services' databases, with their passwords: the file is its owner's alone. */
  databaseUrls: Record<ServiceName, string>;
  natsUrl: string;
  eventPrefix: string;
}

/** Tells others about a shop until disposed of. */
export function announce(directory: string, shop: Omit<RunningShop, "runner">): Disposable {
  const path = join(directory, "shop.json");
  const { addresses, databaseUrls, natsUrl, eventPrefix } = shop;
  const running = { runner: identify(process.pid), addresses, databaseUrls, natsUrl, eventPrefix };
  writeFileSync(path, JSON.stringify(running, null, 2), { mode: 0o600 });
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** The shop that runs on a directory; `undefined` where none does, or none is ready. */
export function findRunningShop(directory: string): RunningShop | undefined {
  try {
    const text = readFileSync(join(directory, "shop.json"), "utf8");
    const shop = JSON.parse(text) as RunningShop;
    return isAlive(shop.runner) ? shop : undefined;
  } catch {
    return undefined;
  }
}
