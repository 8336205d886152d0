import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TlsFiles } from "@emporium/grpc";
import type { Guard } from "./guard/guard.js";
import { GuardedServer } from "./guard/guarded-server.js";
import { natsUsers } from "./nats-users.js";
import { launchOnPort } from "./ports.js";

/** Milliseconds that NATS has to close its store. */
const GRACE_MS = 10_000;

/** Seconds that a client has to prove who it is. */
const HANDSHAKE_LIMIT_S = 10;

/** The line of its log that tells that it takes connections. */
const READY = /Server is ready/;

/** How NATS is run. */
export interface NatsOptions {
  guard: Guard;
  /** The nats-server executable. */
  program: string;
  /** A folder for its store and its configuration. */
  folder: string;
  /** The port; any free one where absent. */
  port?: number | undefined;
  /** Whether what is acknowledged has reached the disk. */
  durable: boolean;
  /** Its certificate; users are known by theirs. */
  tlsFiles: TlsFiles;
  /** What the names of streams and subjects start with; `*` where many shops share it. */
  eventPrefix: string;
  /** A file for its log. */
  log: string;
}

/** A NATS server with JetStream that runs for us. */
export class Nats extends GuardedServer {
  readonly url: string;
  /** Where JetStream keeps its streams; delete it only while the server is stopped. */
  readonly store: string;

  constructor(
    place: { url: string; store: string },
    ...[running, launch]: ConstructorParameters<typeof GuardedServer>
  ) {
    super(running, launch);
    this.url = place.url;
    this.store = place.store;
  }
}

/** Starts NATS and waits until it takes connections. */
export async function startNats(options: NatsOptions): Promise<Nats> {
  const { guard, program, folder, log } = options;
  const store = join(folder, "store");
  const configuration = join(folder, "nats.conf");
  await mkdir(folder, { recursive: true });

  const launch = async (port: number) => {
    await writeFile(configuration, configure(port, store, options));
    const server = guard.spawn({
      name: "nats",
      program,
      programArguments: ["--config", configuration],
      stopSignal: "SIGTERM",
      graceMs: GRACE_MS,
      stage: 0,
      log,
      tell: READY.source,
    });
    await server.line(READY);
    return server;
  };
  const { port, running } = await launchOnPort(launch, options.port);
  return new Nats({ url: `tls://127.0.0.1:${port}`, store }, running, () => launch(port));
}

/** https://docs.nats.io/running-a-nats-service/configuration */
function configure(
  port: number,
  store: string,
  { durable, tlsFiles, eventPrefix }: NatsOptions,
): string {
  // By default an acknowledged message may be two minutes away from the disk (nats-server #7564).
  const sync = durable ? "sync_interval: always" : "";
  return `server_name: emporium
host: 127.0.0.1
port: ${port}
jetstream {
  store_dir: ${JSON.stringify(store)}
  ${sync}
}
tls {
  cert_file: ${JSON.stringify(tlsFiles.certFile)}
  key_file: ${JSON.stringify(tlsFiles.keyFile)}
  ca_file: ${JSON.stringify(tlsFiles.caFile)}
  verify_and_map: true
  timeout: ${HANDSHAKE_LIMIT_S}
}
authorization {
  users: ${natsUsers(eventPrefix)}
}
`;
}
