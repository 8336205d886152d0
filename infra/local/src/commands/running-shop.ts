import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Certificates } from "../certificates/certificates.js";
import { identify, isAlive, type ProcessIdentity } from "../guard/identity.js";
import { clientsOf, type ShopClients } from "../shop/clients.js";
import type { Shop } from "../shop/shop.js";

/** What a shop that runs tells others about itself, in `shop.json` of its directory. */
interface Announcement extends Pick<
  Shop,
  "addresses" | "databaseUrls" | "natsUrl" | "eventPrefix"
> {
  /** The process that runs it. */
  runner: ProcessIdentity;
  /** Where certificates are, and the authority that signs more. */
  certificatesFolder: string;
}

/** A shop that other processes run. */
export interface RunningShop extends Announcement, ShopClients {
  readonly certificates: Certificates;
}

/** Tells others about a shop until disposed of. Passwords are in it: the file is its owner's alone. */
export function announce(directory: string, shop: Shop): Disposable {
  const path = join(directory, "shop.json");
  const { addresses, databaseUrls, natsUrl, eventPrefix, certificates } = shop;
  const announcement = {
    runner: identify(process.pid),
    addresses,
    databaseUrls,
    natsUrl,
    eventPrefix,
    certificatesFolder: certificates.folder,
  };
  writeFileSync(path, JSON.stringify(announcement, null, 2), { mode: 0o600 });
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** The shop that runs on a directory; `undefined` where none does, or none is ready. */
export async function findRunningShop(directory: string): Promise<RunningShop | undefined> {
  const announcement = readAnnouncement(directory);
  if (!announcement) return undefined;
  const certificates = await Certificates.open(announcement.certificatesFolder);
  return { ...announcement, certificates, ...clientsOf(announcement.addresses, certificates) };
}

function readAnnouncement(directory: string): Announcement | undefined {
  try {
    const text = readFileSync(join(directory, "shop.json"), "utf8");
    const announcement = JSON.parse(text) as Announcement;
    return isAlive(announcement.runner) ? announcement : undefined;
  } catch {
    return undefined;
  }
}
