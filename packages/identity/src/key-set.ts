import type { EngineClock } from "@emporium/grpc";
import {
  createLocalJWKSet,
  errors,
  type JWK,
  type JWTHeaderParameters,
  type LocalJWKSet,
} from "jose";
import { fetchJson, type IssuerMetadata } from "./issuer.js";

/** When keys are loaded, in milliseconds. */
export interface KeyReloading {
  /** Between two loads by the clock; a key that the issuer removed is refused this much later. */
  reloadMs: number;
  /** Between two loads that unknown key ids ask for. */
  cooldownMs: number;
}

/**
 * The public keys of an issuer. They are loaded again by the clock; a key id that is not among them
 * has them loaded at once, but no more than once a cooldown, however many ask: those wait for the
 * next load together. So no token fails because its key is new, and no flood of made-up key ids
 * becomes one of requests to the issuer. An issuer that is away leaves the keys as they are.
 */
export class KeySet implements Disposable {
  /** Grows with every change of the keys. */
  generation = 0;
  #keys: LocalJWKSet | undefined;
  #seen = "";
  #lastLoad = -Infinity;
  #loading: Promise<void> | undefined;
  #stopTimer: (() => void) | undefined;
  #closed = false;

  constructor(
    private readonly metadata: IssuerMetadata,
    private readonly clock: EngineClock,
    private readonly reloading: KeyReloading,
    private readonly told: { changed(): void; failed(error: unknown): void },
  ) {
    this.#reloadByClock();
  }

  /** Resolves when the keys were loaded once. */
  async loaded(): Promise<void> {
    if (!this.#keys) await this.#load();
  }

  /** The key that a token names. Rejects with jose's errors where there is none. */
  async find(header: JWTHeaderParameters) {
    if (!header.kid) throw new errors.JWKSNoMatchingKey("the token names no key");
    try {
      if (this.#keys) return await this.#keys(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    await this.#load();
    return this.#keys!(header);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopTimer?.();
  }

  /** One at a time: who asks while one waits or runs gets that one. */
  #load(): Promise<void> {
    return (this.#loading ??= this.#loadSoon().finally(() => (this.#loading = undefined)));
  }

  async #loadSoon(): Promise<void> {
    const pause = this.#lastLoad + this.reloading.cooldownMs - this.clock.now();
    if (pause > 0) await new Promise<void>((over) => this.clock.after(pause, over));
    this.#lastLoad = this.clock.now();
    const { keys } = await fetchJson(await this.metadata.get("jwks_uri"));
    const text = JSON.stringify(keys);
    if (text === this.#seen) return;
    this.#keys = createLocalJWKSet({ keys: keys as JWK[] });
    this.#seen = text;
    this.generation += 1;
    this.told.changed();
  }

  #reloadByClock(): void {
    void this.#load()
      .catch((error: unknown) => this.told.failed(error))
      .then(() => {
        if (this.#closed) return;
        const pause = this.#keys ? this.reloading.reloadMs : this.reloading.cooldownMs;
        this.#stopTimer = this.clock.after(pause, () => this.#reloadByClock());
      });
  }
}
