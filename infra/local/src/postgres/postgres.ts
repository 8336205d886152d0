import type { TlsFiles } from "@emporium/grpc";
import type { Guard } from "../guard/guard.js";
import { GuardedServer } from "../guard/guarded-server.js";
import { launchOnPort } from "../ports.js";
import { postgresAccount } from "./account.js";
import { postgresBinaries } from "./binaries.js";
import { openCluster, secure } from "./cluster.js";
import { Databases } from "./databases.js";
import { clearPredecessor } from "./predecessor.js";

/** Milliseconds for a checkpoint at the end; after that, Postgres recovers at its next start. */
const GRACE_MS = 15_000;

/** The line of its log that tells that it takes connections. */
const READY = /ready to accept connections/;

/** How Postgres is run. */
export interface PostgresOptions {
  guard: Guard;
  /** The cluster's folder; made where it is missing. */
  folder: string;
  /** The port; any free one where absent. */
  port?: number | undefined;
  /** Whether commits reach the disk. */
  durable: boolean;
  /** Its certificate; it speaks nothing but TLS. */
  tlsFiles: TlsFiles;
  /** A file for its log. */
  log: string;
}

/** A Postgres server that runs for us. */
export class Postgres extends GuardedServer {
  readonly databases: Databases;
  readonly #installCertificate: () => void;

  constructor(
    databases: Databases,
    installCertificate: () => void,
    ...[running, launch]: ConstructorParameters<typeof GuardedServer>
  ) {
    super(running, launch);
    this.databases = databases;
    this.#installCertificate = installCertificate;
  }

  /** Shows the certificate that is in the files now to new connections. */
  renew(): void {
    this.#installCertificate();
    this.reload();
  }
}

/**
 * Starts Postgres and waits until it takes connections.
 *
 * @example
 * const postgres = await startPostgres({ guard, folder, tlsFiles, durable: true, log });
 * const url = await postgres.databases.create("orders");
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const account = postgresAccount();
  const binaries = await postgresBinaries(account);
  const { data, password } = await openCluster(options.folder, { ...options, binaries, account });
  const install = () => secure(data, options.tlsFiles, account);
  const launch = async (port: number) => {
    install();
    await clearPredecessor(data, { stopSignal: "SIGINT", graceMs: GRACE_MS });
    const server = options.guard.spawn({
      name: "postgres",
      program: binaries.postgres,
      programArguments: ["-D", data, "-p", String(port), ...settings(options.durable)],
      user: account,
      stopSignal: "SIGINT",
      graceMs: GRACE_MS,
      stage: 0,
      log: options.log,
      tell: READY.source,
    });
    await server.line(READY);
    return server;
  };
  const { port, running } = await launchOnPort(launch, options.port);
  const databases = new Databases(port, password, options.tlsFiles.caFile);
  return new Postgres(databases, install, running, () => launch(port));
}

/** https://www.postgresql.org/docs/18/runtime-config.html */
function settings(durable: boolean): string[] {
  const values = {
    listen_addresses: "127.0.0.1",
    ssl: "on",
    unix_socket_directories: "",
    // Every test file, and every replica of every service, brings a pool of its own.
    max_connections: 400,
    timezone: "UTC",
    log_timezone: "UTC",
    // Short statements only: compiling them would cost more than it gains.
    jit: "off",
    ...(durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
