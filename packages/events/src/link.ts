import {
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  type JetStreamManager,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { connect, type NodeConnectionOptions } from "@nats-io/transport-node";
import type { Logger } from "./logger.js";
import { inboxPrefix } from "./permissions.js";
import { pause, unlessAborted } from "./pause.js";

const CONNECT_LIMIT_MS = 5_000;
const RETRY_MS = 250;
const PING_MS = 10_000;
/** https://github.com/nats-io/nats-server/issues/6888: whole streams were lost before. */
const OLDEST_SERVER = [2, 10, 23] as const;

/** Credentials and TLS, as NATS' own client takes them. */
export type NatsOptions = Pick<
  NodeConnectionOptions,
  "authenticator" | "pass" | "tls" | "token" | "user"
>;

export interface LinkOptions {
  servers: string | string[];
  /** Shown in the server's monitoring; answers come in under it. */
  name: string;
  nats?: NatsOptions | undefined;
  logger: Logger;
  /** Done at the start of each session, again until it succeeds. */
  prepare: (session: Session) => Promise<void>;
}

/** One stretch of time in which the server was there without a break. */
export interface Session {
  readonly client: JetStreamClient;
  readonly management: JetStreamManager;
  /** Fires when the connection breaks: acknowledgements that come after it mean nothing. */
  readonly signal: AbortSignal;
}

/** The server is older than the first one that keeps its streams. */
export class UnsupportedServerError extends Error {
  override readonly name = "UnsupportedServerError";

  constructor(version: string) {
    super(`nats-server ${version} is too old: ${OLDEST_SERVER.join(".")} or newer is needed`);
  }
}

/** Throws an UnsupportedServerError for a version below 2.10.23. */
export function checkServerVersion(version: string): void {
  const found = version.split(/[.-]/, 3).map(Number);
  const at = OLDEST_SERVER.findIndex((part, index) => found[index] !== part);
  if (at >= 0 && !(found[at]! > OLDEST_SERVER[at]!)) throw new UnsupportedServerError(version);
}

/**
 * The connection to NATS, kept up for as long as the process runs: it starts while the server is
 * away, waits for it without end, and tells its users in sessions.
 */
export class Link implements AsyncDisposable {
  readonly #options: LinkOptions;
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #next = Promise.withResolvers<Session>();
  #running: Promise<void> = Promise.resolve();

  private constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Rejects with an UnsupportedServerError only; any other trouble is waited out. */
  static async open(options: LinkOptions): Promise<Link> {
    const link = new Link(options);
    const connection = await link.#dial().catch((error: unknown) => {
      options.logger.warn({ err: error }, "NATS is away; connecting in the background");
      return undefined;
    });
    try {
      if (connection?.info) checkServerVersion(connection.info.version);
    } catch (error) {
      await connection?.close();
      throw error;
    }
    link.#running = link.#run(connection);
    return link;
  }

  /** The session that lasts now, if there is one. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** The session that lasts now, or the next one; rejects with the signal's reason. */
  async connected(signal: AbortSignal): Promise<Session> {
    return this.#session ?? (await unlessAborted(signal, this.#next.promise));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the connection to NATS was closed"));
    await this.#running;
  }

  #dial(): Promise<NatsConnection> {
    const { servers, name, nats } = this.#options;
    return connect({
      ...nats,
      servers,
      name,
      inboxPrefix: inboxPrefix(name),
      timeout: CONNECT_LIMIT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RETRY_MS,
      reconnectJitter: RETRY_MS,
      reconnectJitterTLS: RETRY_MS,
      pingInterval: PING_MS,
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
    });
  }

  async #run(first: NatsConnection | undefined): Promise<void> {
    const { signal } = this.#closing;
    let connection = first;
    while (!signal.aborted) {
      connection ??= await this.#dial().catch(() => undefined);
      if (connection) await this.#follow(connection);
      else await pause(RETRY_MS + Math.random() * RETRY_MS, signal);
      connection = undefined;
    }
  }

  /** Follows one connection through its breaks until it is closed. */
  async #follow(connection: NatsConnection): Promise<void> {
    const close = (): void => void connection.close();
    this.#closing.signal.addEventListener("abort", close);
    if (this.#closing.signal.aborted) close();
    let broken = new AbortController();
    let beginning = this.#begin(connection, broken.signal);
    const end = (): void => {
      this.#session = undefined;
      broken.abort(new Error("the connection to NATS broke"));
    };
    try {
      for await (const { type } of connection.status()) {
        if (type === "disconnect") end();
        if (type !== "reconnect") continue;
        end();
        broken = new AbortController();
        beginning = this.#begin(connection, broken.signal);
      }
      await connection.closed();
    } finally {
      end();
      await beginning;
      this.#closing.signal.removeEventListener("abort", close);
    }
  }

  /** Opens a session as soon as JetStream answers and has what is needed. */
  async #begin(connection: NatsConnection, signal: AbortSignal): Promise<void> {
    const { logger, prepare } = this.#options;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        checkServerVersion(connection.info?.version ?? "");
        const management = await jetstreamManager(connection, { checkAPI: false });
        const session = { client: jetstream(connection), management, signal };
        await prepare(session);
        if (signal.aborted) return;
        this.#session = session;
        this.#next.resolve(session);
        this.#next = Promise.withResolvers();
        logger.info({ server: connection.getServer() }, "NATS is there");
        return;
      } catch (error) {
        if (failures % 20 === 0) logger.error({ err: error }, "NATS is there but not ready");
        await pause(RETRY_MS, signal);
      }
    }
  }
}
