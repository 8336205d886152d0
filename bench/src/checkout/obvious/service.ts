import { Database, type OutboxRow, type PrismaClientLike } from "@emporium/database";
import { Events } from "@emporium/events";
import { GrpcServer, tlsFromFiles, type TlsFiles } from "@emporium/grpc";
import { attachToken, contractAccess, OwnTokens, TokenVerifier } from "@emporium/identity";
import type { SqlDriverAdapterFactory } from "@prisma/driver-adapter-utils";

/** What a process of the obvious shop is told. */
export interface Start {
  databaseUrl: string;
  natsUrl: string;
  tlsFiles: TlsFiles;
  oidc: { issuer: string; audience: string; keyFile: string };
  inventoryAddress: string;
  ordersAddress: string;
}

/** Who takes in the events of orders, of which a purchase gives them nothing to do. */
const consumers = {
  inventory: "inventory-returned-goods",
  orders: undefined,
  checkout: "checkout-refunds",
};

/** Prisma waits 2 s for a connection and 5 s for the work unless told; callers here wait in line. */
const PATIENCE = { maxWait: 60_000, timeout: 60_000 };

/**
 * What the three have in common with the shop's own: the engine with TLS, tokens and access by the
 * contract, the relay of events, those who take in the events of orders, as many connections.
 */
export async function openService<Client extends PrismaClientLike>(
  start: Start,
  source: "inventory" | "orders" | "checkout",
  client: (adapter: SqlDriverAdapterFactory) => Client,
) {
  const database = await Database.open<Client>({
    url: start.databaseUrl,
    client,
    applicationName: source,
  });
  const servers = start.natsUrl;
  const nats = { tls: start.tlsFiles };
  const events = await Events.connect({ servers, nats, prefix: "obvious", source, database });
  events.startRelay();
  const consumer = consumers[source];
  if (consumer) await events.consume({ name: consumer, from: "orders", handlers: [] });
  const tls = tlsFromFiles(start.tlsFiles);
  const verifier = new TokenVerifier(start.oidc);
  const server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    tls,
    interceptors: [contractAccess({ verifier })],
  });
  const interceptors = [attachToken(new OwnTokens({ ...start.oidc, clientId: source }))];
  return {
    server,
    /** What a client of another service has besides its address. */
    toOthers: (other: string) => ({ tls: { source: tls, server: other }, interceptors }),
    /** An interactive transaction, as Prisma's documentation has it. */
    transaction: async <T>(work: (tx: Client) => Promise<T>): Promise<T> => {
      const result = await (
        database.prisma as unknown as {
          $transaction(work: (tx: Client) => Promise<T>, options: object): Promise<T>;
        }
      ).$transaction(work, PATIENCE);
      database.committed();
      return result;
    },
    prisma: database.prisma,
  };
}

/** An event as Prisma writes it. */
export function toData({ headers = {}, payload, ...event }: OutboxRow) {
  return { ...event, payload: new Uint8Array(payload), headers };
}
