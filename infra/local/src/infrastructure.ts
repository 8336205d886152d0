import { chmod, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Certificates } from "./certificates/certificates.js";
import { Guard } from "./guard/guard.js";
import { stopLeftovers } from "./guard/leftovers.js";
import { takeLock } from "./guard/lock.js";
import { type Issuer, startIssuer } from "./issuer/issuer.js";
import { type Nats, startNats } from "./nats.js";
import { checkPorts, type Ports } from "./ports.js";
import { postgresAccount, reachablePlace, temporaryFolder } from "./postgres/account.js";
import { type Postgres, startPostgres } from "./postgres/postgres.js";
import { temporaryDirectory } from "./temporary.js";
import { resolveTool } from "./tools/resolve.js";

/** What Postgres, NATS and the issuer of tokens are started with; everything has a default. */
export interface InfrastructureOptions {
  /** Where the data is kept; absent means a temporary folder that is deleted at the end. */
  directory?: string | undefined;
  /** Throws away what is in the directory. */
  fresh?: boolean | undefined;
  /** False for tests: faster, but a power cut loses data. True where absent. */
  durable?: boolean | undefined;
  /**
   * What names of streams and subjects start with, `emporium` where absent: users of NATS may use no
   * others. `*` allows any, for tests that share a server.
   */
  eventPrefix?: string | undefined;
  /** Fixed ports; any free one where absent. */
  ports?: Pick<Ports, "postgres" | "nats" | "issuer"> | undefined;
  /** Told what takes time, a line each. */
  report?: ((line: string) => void) | undefined;
  /** Stops what runs by then when it fires before everything does; the boot then rejects. */
  signal?: AbortSignal | undefined;
}

/** A Postgres, a NATS with JetStream and an OIDC issuer that run for us. Dispose of it to stop them. */
export interface Infrastructure extends AsyncDisposable {
  /** Where data and logs are. */
  readonly directory: string;
  readonly postgres: Postgres;
  readonly nats: Nats;
  readonly issuer: Issuer;
  /** Of whoever takes part; renewed for as long as this process runs. */
  readonly certificates: Certificates;
  /** Runs more processes; they end before these do. */
  readonly guard: Guard;
}

/**
 * Boots Postgres, NATS with JetStream and an OIDC issuer without Docker, and waits until all take
 * connections. They end with this process, however it ends. Rejects with `LockedError` where another process uses the
 * directory, and with one clear message where nats-server cannot be had.
 *
 * @example
 * await using infrastructure = await bootInfrastructure({ durable: false });
 * const url = await infrastructure.postgres.databases.create("orders");
 */
export async function bootInfrastructure(
  options: InfrastructureOptions = {},
): Promise<Infrastructure> {
  const { durable = true, eventPrefix = "emporium", ports = {}, report } = options;
  await using boot = new AsyncDisposableStack();
  const { directory, ...guarding } = options.directory
    ? await claim(resolve(options.directory), options.fresh ?? false, boot)
    : await makeTemporary();
  await checkPorts({ postgres: ports.postgres, nats: ports.nats, issuer: ports.issuer });
  const guard = boot.use(Guard.start(guarding));
  options.signal?.addEventListener("abort", () => void guard[Symbol.asyncDispose]());
  options.signal?.throwIfAborted();
  const logs = join(directory, "logs");
  await mkdir(logs, { recursive: true });
  const certificates = await Certificates.open(join(directory, "certificates"));
  boot.use(certificates.keepFresh((error) => report?.(`No certificate: ${String(error)}`)));
  certificates.trustHere();
  const [natsTls, postgresTls] = await Promise.all([
    certificates.sourceOf("nats"),
    certificates.sourceOf("postgres"),
  ]);
  const [postgres, nats, issuer] = await Promise.all([
    reachablePlace(join(directory, "postgres"), postgresAccount()).then((folder) =>
      startPostgres({
        guard,
        folder,
        durable,
        tlsFiles: postgresTls.files,
        port: ports.postgres,
        log: join(logs, "postgres.log"),
      }),
    ),
    resolveTool("nats-server", { report, run: guard.run }).then((program) =>
      startNats({
        guard,
        program,
        durable,
        tlsFiles: natsTls.files,
        eventPrefix,
        folder: join(directory, "nats"),
        port: ports.nats,
        log: join(logs, "nats.log"),
      }),
    ),
    startIssuer({
      guard,
      certificates,
      folder: join(directory, "issuer"),
      port: ports.issuer,
      log: join(logs, "issuer.log"),
    }),
  ]);
  boot.use(natsTls.onChange(() => nats.reload()));
  boot.use(postgresTls.onChange(() => postgres.renew()));
  const running = boot.move();
  return {
    directory,
    postgres,
    nats,
    issuer,
    certificates,
    guard,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function makeTemporary() {
  const directory = await temporaryDirectory(await temporaryFolder(postgresAccount()), "emporium");
  // Postgres may run as another user, who has to pass.
  await chmod(directory, 0o711);
  return { directory, remove: directory };
}

/** Makes a directory ours: no other runner is on it, and nothing of a killed one is left. */
async function claim(directory: string, fresh: boolean, boot: AsyncDisposableStack) {
  await mkdir(directory, { recursive: true });
  await mark(directory, fresh);
  boot.use(takeLock(join(directory, "lock")));
  const record = join(directory, "processes.json");
  await stopLeftovers(record);
  if (fresh) await empty(directory);
  return { directory, record };
}

/** Lies in every folder that was empty when a shop was made in it: what is there is ours to delete. */
const MARKER = ".emporium-shop";

/** Marks an empty folder as ours. Rejects before a folder is emptied that is not marked. */
async function mark(directory: string, fresh: boolean): Promise<void> {
  const entries = await readdir(directory);
  if (entries.length === 0) await writeFile(join(directory, MARKER), "");
  else if (fresh && !entries.includes(MARKER))
    throw new Error(
      `${directory} holds files that are not a shop's, so it is not emptied. Name another folder in EMPORIUM_DIR, or delete it yourself.`,
    );
}

/** All but the lock, which we hold, and what was put elsewhere goes as well. */
async function empty(directory: string): Promise<void> {
  const elsewhere = await reachablePlace(join(directory, "postgres"), postgresAccount());
  await rm(elsewhere, { recursive: true, force: true });
  for (const name of await readdir(directory))
    if (name !== "lock" && name !== MARKER)
      await rm(join(directory, name), { recursive: true, force: true });
}
