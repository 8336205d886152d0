import { cpus, tmpdir } from "node:os";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
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
import { pin, type Processes } from "./cpu.js";
import { HOT_PRODUCT, type Scenario } from "./scenarios.js";

/** Units of each product: more than any run can buy. */
const UNITS = 1_000_000n;

/** The name in the certificate that k6 presents, and that of its client at the issuer. */
export const CALLER = "load-test";

/** What is put under load. */
export interface Target extends AsyncDisposable {
  /** `host:port` of each service's servers, with commas between. */
  readonly addresses: Record<ServiceName, string>;
  /** The files of the certificate that k6 presents. */
  readonly tls: TlsFiles;
  /** Where k6 gets its tokens, and as whom. */
  readonly issuer: { url: string; clientSecret: string };
  /** Whether the servers are kept on a core of their own. */
  readonly pinned: boolean;
  /** Its servers as they are now; none where they are not ours. */
  processes(): Processes;
  /** Holds the books against each other; absent where they are not ours to look into. */
  audit?(): Promise<AuditReport>;
  /** The shop, where it is ours. */
  readonly shop?: Shop;
}

/** How callers prove themselves to a shop that runs elsewhere. */
export interface Credentials {
  /** PEM files: of the authority, and of the certificate that k6 presents. */
  ca: string;
  cert: string;
  key: string;
  /** `https://` URL of the issuer of tokens. */
  issuer: string;
  /** JSON file with the client's secret, as `npm start` and compose keep it: `clientSecrets`, by name. */
  secrets: string;
}

/**
 * A shop that runs elsewhere: under compose, in Kubernetes, or by `npm start`. This process trusts the
 * authority from then on.
 */
export async function elsewhere(
  addresses: Record<ServiceName, string>,
  { ca, cert, key, issuer, secrets }: Credentials,
): Promise<Target> {
  setDefaultCACertificates([...getCACertificates("default"), await readFile(ca, "utf8")]);
  const { clientSecrets = {} } = JSON.parse(await readFile(secrets, "utf8")) as {
    clientSecrets?: Record<string, string>;
  };
  const clientSecret = clientSecrets[CALLER];
  if (!clientSecret) throw new Error(`${secrets} has no clientSecrets["${CALLER}"]`);
  return {
    addresses,
    tls: { caFile: resolve(ca), certFile: resolve(cert), keyFile: resolve(key) },
    issuer: { url: issuer, clientSecret },
    pinned: false,
    processes: () => ({}),
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
      // As in production.
      nodeArguments: [],
      logLevel: "error",
      replicas: { inventory: replicas, orders: replicas, checkout: replicas },
      onLine: (label, line) => process.stderr.write(`${label} | ${line}\n`),
    }),
  );
  await fillShelves(shop, await catalogue(), scenario.hotUnits);
  // This process too: a server that it starts again inherits the core.
  const pinned = cpus().length > 1 && pin([process.pid, ...shop.servers.map(({ pid }) => pid)], 0);
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
    processes: () => Object.fromEntries(shop.servers.map(({ label, pid }) => [label, pid])),
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
