import type { FileTlsSource } from "@emporium/grpc";
import type { Server } from "../guard/guarded-server.js";
import type { Launched } from "./launch.js";
import type { ServiceName } from "./services.js";
import { serving } from "./serving.js";

/** Milliseconds from launch to SERVING after which a start has failed. */
const START_LIMIT_MS = 60_000;

/** One server of a service. */
export class Replica implements Server {
  readonly service: ServiceName;
  /** Its service's name, with a number where there are several. */
  readonly label: string;
  /** `host:port`. */
  readonly address: string;
  readonly #tls: FileTlsSource;
  readonly #launch: () => Promise<Launched>;
  #launched: Launched | undefined;
  #starting = new AbortController();

  constructor(
    service: ServiceName,
    label: string,
    address: string,
    /** Of who asks whether it is SERVING. */
    tls: FileTlsSource,
    launch: () => Promise<Launched>,
  ) {
    this.service = service;
    this.label = label;
    this.address = address;
    this.#tls = tls;
    this.#launch = launch;
  }

  /** Its process; 0 while it is stopped. */
  get pid(): number {
    return this.#launched?.pid ?? 0;
  }

  /** Rejects when its process ends without being asked; pending otherwise. */
  get lost(): Promise<never> {
    return this.#launched?.lost ?? Promise.withResolvers<never>().promise;
  }

  /** Starts it and waits until it is SERVING. */
  async start(): Promise<void> {
    const limit = AbortSignal.timeout(START_LIMIT_MS);
    this.#starting = new AbortController();
    const launched = (this.#launched = await this.#launch());
    const signal = AbortSignal.any([limit, this.#starting.signal]);
    const tls = { source: this.#tls, server: this.service };
    const ready = serving(`dns:///${this.address}`, tls, signal);
    try {
      await Promise.race([ready, launched.lost]);
    } catch (error) {
      if (limit.aborted)
        throw new Error(`${this.label} is not SERVING after ${START_LIMIT_MS / 1000} s`, {
          cause: error,
        });
      throw error;
    } finally {
      this.#starting.abort();
      ready.catch(() => undefined);
    }
  }

  /** Drains and stops it, also while it starts. */
  async stop(): Promise<void> {
    this.#starting.abort();
    await this.#launched?.stop();
    this.#launched = undefined;
  }
}
