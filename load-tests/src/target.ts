import { tmpdir } from "node:os";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import {
  audit,
  type AuditReport,
  bootShop,
  type CatalogueProduct,
  readSecrets,
  type Shop,
  stockShop,
} from "@emporium/local";
import type { TlsFiles } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import type { ServiceName } from "./addresses.js";
import { catalogue } from "./baskets.js";
import { cpuSeconds, pin } from "./cpu.js";
import { HOT_PRODUCT, type Scenario } from "./scenarios.js";

/** Units of each product: more than any run can buy. */
const UNITS = 1_000_000n;

/** The name in the certificate that k6 presents, and that of its client at the issuer. */
export const CALLER = "load-test";

/** What is put under load. */
export interface Target extends AsyncDisposable {
  /** `host:port` of each service's servers, with commas between. */
  readonly addresses: Record<ServiceName, string>;
  /** The files of the certificate that k6 presents; no TLS where absent. */
  readonly tls?: TlsFiles;
  /** Where k6 gets its tokens, and as whom. */
  readonly issuer?: { url: string; clientSecret: string };
  /** Whether the servers are kept on a core of their own. */
  readonly pinned: boolean;
  /** CPU seconds of each server so far; nothing where they are not ours. */
  cpu(): Record<string, number>;
  /** Holds the books against each other; absent where they are not ours to look into. */
  audit?(): Promise<AuditReport>;
  /** The shop, where it is ours. */
  readonly shop?: Shop;
}

/** A shop that runs elsewhere: under compose, in Kubernetes, or by `npm start`. */
export function elsewhere(addresses: Record<ServiceName, string>): Target {
  return {
    addresses,
    pinned: false,
    cpu: () => ({}),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Opens a shop of its own with full shelves, a process for each server, kept on one core. */
export async function ownShop(scenario: Scenario, signal: AbortSignal): Promise<Target> {
  await using opening = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "emporium-load-"));
  opening.defer(() => rm(directory, { recursive: true, force: true }));
  const { replicas = 1 } = scenario;
  const shop = opening.use(
    await bootShop({
      signal,
      processes: true,
      logLevel: "error",
      replicas: { inventory: replicas, orders: replicas, checkout: replicas },
      onLine: (label, line) => process.stderr.write(`${label} | ${line}\n`),
    }),
  );
  await fillShelves(shop, await catalogue(), scenario.hotUnits);
  const pinned = pin(
    shop.servers.map(({ pid }) => pid),
    0,
  );
  const running = opening.move();
  const addressesOf = (name: ServiceName) =>
    shop.replicas
      .filter(({ service }) => service === name)
      .map(({ address }) => address)
      .join();
  return {
    addresses: {
      inventory: addressesOf("inventory"),
      orders: addressesOf("orders"),
      checkout: addressesOf("checkout"),
    },
    tls: await shop.certificates.filesOf(CALLER),
    issuer: {
      url: shop.issuer.url,
      clientSecret: (await readSecrets(shop.issuer.folder)).clientSecrets[CALLER],
    },
    pinned,
    cpu: () =>
      Object.fromEntries(shop.servers.map(({ label, pid }) => [label, pid ? cpuSeconds(pid) : 0])),
    audit: () => audit(shop, 60_000),
    shop,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function fillShelves(shop: Shop, products: CatalogueProduct[], hotUnits = UNITS) {
  using inventory = await shop.client(InventoryService, { as: CALLER, by: CALLER });
  await stockShop({
    inventory,
    importId: newId("imp"),
    currency: "GBP",
    products: products.map((product) => ({
      ...product,
      units: product.sku === HOT_PRODUCT ? hotUnits : UNITS,
    })),
  });
}
