import { setTimeout as sleep } from "node:timers/promises";
import { Client, escapeIdentifier } from "pg";

const CONNECT_LIMIT_MS = 5_000;
const HEARTBEAT_MS = 10_000;
const HEARTBEAT_LIMIT_MS = 5_000;
const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 5_000;

export interface ListenerOptions {
  url: string;
  applicationName: string;
  channel: string;
  onNotify: () => void;
  onError: (error: Error) => void;
  signal: AbortSignal | undefined;
}

/** LISTEN on a connection of its own that is opened again, with backoff, whenever it is lost. */
export class Listener implements AsyncDisposable {
  readonly #options: ListenerOptions;
  readonly #closing = new AbortController();
  /** Resolves when no connection is left. */
  readonly closed: Promise<void>;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const { signal } = options;
    if (signal?.aborted) this.#close();
    else signal?.addEventListener("abort", this.#close);
    this.closed = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.closed;
  }

  readonly #close = (): void => this.#closing.abort();

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let backoffMs = FIRST_BACKOFF_MS;
    while (!signal.aborted) {
      try {
        await this.#listen(() => (backoffMs = FIRST_BACKOFF_MS));
      } catch (error) {
        if (!signal.aborted) this.#options.onError(error as Error);
      }
      await sleep(backoffMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(
        () => undefined,
      );
      backoffMs = Math.min(LONGEST_BACKOFF_MS, backoffMs * 2);
    }
    this.#options.signal?.removeEventListener("abort", this.#close);
  }

  /** Until the connection is lost, which rejects, or this is closed. */
  async #listen(onListening: () => void): Promise<void> {
    const { url, applicationName, channel } = this.#options;
    const { signal } = this.#closing;
    const client = new Client({
      connectionString: url,
      application_name: `${applicationName} listen`,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      keepAlive: true,
      query_timeout: HEARTBEAT_LIMIT_MS,
    });
    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => undefined);
    client.on("error", lost.reject);
    client.on("notification", this.#tell);
    const stop = (): void => lost.reject(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      await Promise.race([client.connect(), lost.promise]);
      await client.query(`LISTEN ${escapeIdentifier(channel)}`);
      onListening();
      this.#tell();
      // A network that swallows packets ends no connection: only asking finds out.
      const heartbeat = setInterval(() => {
        client.query("SELECT 1").catch(lost.reject);
      }, HEARTBEAT_MS);
      await lost.promise.finally(() => clearInterval(heartbeat));
    } finally {
      signal.removeEventListener("abort", stop);
      await client.end();
    }
  }

  readonly #tell = (): void => {
    try {
      this.#options.onNotify();
    } catch (error) {
      this.#options.onError(error as Error);
    }
  };
}
