import type { Certificates } from "../certificates/certificates.js";
import type { Server } from "../guard/guarded-server.js";
import { checkPorts, freePort } from "../ports.js";
import { clientKeyFile } from "../issuer/accounts.js";
import { AUDIENCE } from "../issuer/issuer.js";
import type { IssuerPlace } from "../issuer/login.js";
import { Tokens } from "../issuer/tokens.js";
import { clientsOf, type ShopClients } from "./clients.js";
import { prepareDatabase, prepareGround } from "./ground.js";
import { Replica } from "./replica.js";
import type { ShopConfig } from "./shop-config.js";
import { type ServiceName, serviceNames, type ServiceStart } from "./services.js";

/** A shop that runs. Dispose of it to stop it, those who call before those who are called. */
export interface Shop extends ShopClients, AsyncDisposable {
  /** gRPC names of the services; one name stands for all replicas. */
  readonly addresses: Record<ServiceName, string>;
  /** Every server of a service. */
  readonly replicas: readonly Replica[];
  /** The same, with Postgres, NATS and the issuer where the shop has its own. */
  readonly servers: readonly Server[];
  /** Addresses of the services' databases. */
  readonly databaseUrls: Record<ServiceName, string>;
  readonly natsUrl: string;
  /** Of its services, and of those who call them. */
  readonly certificates: Certificates;
  /** Who gives its tokens. */
  readonly issuer: IssuerPlace;
  /** First part of the names of streams and subjects. */
  readonly eventPrefix: string;
  /** Rejects when the guard of its processes is killed. */
  readonly lost: Promise<never>;
}

/**
 * Boots a whole shop without Docker: Postgres, NATS, migrated databases, and the services, all at
 * once. Resolves when every server is SERVING. All of it ends with this process, however that ends.
 *
 * @example
 * await using shop = await bootShop({ backing: await testInfrastructure() });
 * using checkout = await shop.client(CheckoutService, { as: "demo", by: "ada" });
 */
export async function bootShop(config: ShopConfig = {}): Promise<Shop> {
  await using boot = new AsyncDisposableStack();
  const ground = await prepareGround(config, boot);
  const { inventory, orders, checkout, gateway } = config.ports ?? {};
  await checkPorts({ inventory, orders, checkout, gateway });

  config.report?.("Postgres and NATS run; bringing the databases up to date");
  const databaseUrls = await forEachService((name) => prepareDatabase(ground, name));
  const tlsFiles = await forEachService((name) => ground.certificates.filesOf(name));
  const own = await ground.certificates.sourceOf("local");
  const hosts = await forEachService((name) => hostsOf(name, config));
  const [inventoryAddress, ordersAddress] = [gRpcName(hosts.inventory), gRpcName(hosts.orders)];
  const replicas = serviceNames.flatMap((name) =>
    hosts[name].map((address, index) => {
      const label = hosts[name].length === 1 ? name : `${name}-${index + 1}`;
      const [host = "", port] = address.split(":");
      const start: ServiceStart = {
        listen: { host, port: Number(port) },
        tlsFiles: tlsFiles[name],
        databaseUrl: databaseUrls[name],
        nats: { servers: ground.natsUrl, prefix: ground.eventPrefix },
        oidc: {
          issuer: ground.issuer.url,
          audience: AUDIENCE,
          keyFile: clientKeyFile(ground.issuer.folder, name),
        },
        dataKeysFile: ground.dataKeysFile,
        inventoryAddress,
        ordersAddress,
        currency: config.currency ?? "GBP",
        logLevel: config.logLevel ?? (config.processes ? "info" : "silent"),
        shutdownGraceMs: config.shutdownGraceMs ?? 10_000,
      };
      return new Replica(name, label, address, own, () => ground.launch(name, label, start));
    }),
  );
  // Disposed of in reverse: checkout before orders before inventory.
  for (const name of serviceNames)
    boot.defer(async () => {
      const mine = replicas.filter(({ service }) => service === name);
      await Promise.all(mine.map((replica) => replica.stop()));
    });
  config.report?.("Starting the services");
  const started = Promise.all(replicas.map((replica) => replica.start()));
  await Promise.race([started, ground.lost, abortion(config.signal)]);

  const running = boot.move();
  const { natsUrl, certificates, issuer, eventPrefix, lost } = ground;
  const addresses = await forEachService((name) => gRpcName(hosts[name]));
  return {
    ...clientsOf(addresses, certificates, new Tokens(issuer)),
    addresses,
    replicas,
    servers: [...ground.servers, ...replicas],
    databaseUrls,
    natsUrl,
    certificates,
    issuer,
    eventPrefix,
    lost,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Rejects when the signal fires: a server whose process was stopped with all others never serves. */
async function abortion(signal: AbortSignal | undefined): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  signal?.throwIfAborted();
  return promise;
}

async function forEachService<Made>(
  make: (name: ServiceName) => Made | Promise<Made>,
): Promise<Record<ServiceName, Made>> {
  const made = serviceNames.map(async (name) => [name, await make(name)] as const);
  return Object.fromEntries(await Promise.all(made)) as Record<ServiceName, Made>;
}

/** `host:port` of every replica. */
async function hostsOf(name: ServiceName, { ports, replicas }: ShopConfig): Promise<string[]> {
  const hosts: string[] = [];
  for (let index = 0; index < (replicas?.[name] ?? 1); index++) {
    const fixed = index === 0 ? ports?.[name] : undefined;
    hosts.push(`127.0.0.1:${fixed || (await freePort())}`);
  }
  return hosts;
}

/** https://github.com/grpc/grpc/blob/master/doc/naming.md */
function gRpcName(hosts: string[]): string {
  return hosts.length === 1 ? `dns:///${hosts[0]}` : `ipv4:${hosts.join(",")}`;
}
