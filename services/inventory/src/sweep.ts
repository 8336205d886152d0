import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@emporium/runtime";
import type { Reservations } from "./reservations.js";

/**
 * Looks at an interval for reservations whose time has run out, until it is disposed. Any number of
 * replicas may sweep at once: a row that one of them holds is left out by the others.
 */
export class Sweep implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #stopped: Promise<void>;

  constructor(
    reservations: Reservations,
    { intervalMs, log }: { intervalMs: number; log: Logger },
  ) {
    this.#stopped = this.#run(reservations, intervalMs, log);
  }

  async #run(reservations: Reservations, intervalMs: number, log: Logger): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await sleep(intervalMs, undefined, { signal });
        while ((await reservations.expireDue(signal)) > 0);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, "The sweep failed and will try again");
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#stopped;
  }
}
