import { Database, type OutboxRow, type PrismaClientLike } from "@emporium/database";
import { Events } from "@emporium/events";
import { GrpcServer, tlsFromFiles, type TlsFiles } from "@emporium/grpc";
import type { SqlDriverAdapterFactory } from "@prisma/driver-adapter-utils";

/** What a process of the obvious shop is told. */
export interface Start {
  databaseUrl: string;
  natsUrl: string;
  tlsFiles: TlsFiles;
  inventoryAddress: string;
  ordersAddress: string;
}

/** Prisma waits 2 s for a connection and 5 s for the work unless told; callers here wait in line. */
const PATIENCE = { maxWait: 60_000, timeout: 60_000 };

/**
 * What the three have in common: the same engine with TLS, the same relay of events, as many
 * connections. They have a head start, since they look at no token.
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
  const events = await Events.connect({ servers, prefix: "obvious", source, database });
  events.startRelay();
  const tls = tlsFromFiles(start.tlsFiles);
  const server = new GrpcServer({ listen: { host: "127.0.0.1", port: 0 }, tls });
  return {
    server,
    tls,
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
