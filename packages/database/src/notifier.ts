import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { sidePool } from "./connections.js";

const SPACING_MS = 10;
const NOTIFY = "SELECT set_config('synchronous_commit', 'off', false), pg_notify($1, '')";

/**
 * Sends NOTIFY from a connection of its own, at most once per channel in 10 ms. In a business
 * transaction NOTIFY takes one lock for the whole server and holds it until the commit is on
 * disk; here the commit does not wait for the disk either, since a lost notification only means
 * that the listener's slow poll finds the rows.
 */
export class Notifier implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #onError: (error: Error) => void;
  readonly #wanted = new Set<string>();
  readonly #sending = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(url: string, applicationName: string, onError: (error: Error) => void) {
    this.#onError = onError;
    this.#pool = sidePool(url, `${applicationName} notify`);
    this.#pool.on("error", onError);
  }

  notify(channel: string): void {
    if (this.#closing.signal.aborted) return;
    this.#wanted.add(channel);
    if (!this.#sending.has(channel)) this.#sending.set(channel, this.#send(channel));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#sending.values());
    if (!this.#pool.ending) await this.#pool.end();
  }

  async #send(channel: string): Promise<void> {
    const { signal } = this.#closing;
    while (this.#wanted.delete(channel)) {
      try {
        await this.#pool.query(NOTIFY, [channel]);
      } catch (error) {
        this.#onError(error as Error);
      }
      await sleep(SPACING_MS, undefined, { signal }).catch(() => undefined);
    }
    this.#sending.delete(channel);
  }
}
