import type { GuardedProcess } from "./guarded-process.js";

/** A server that can be stopped, and started again in its place. */
export interface Server {
  readonly label: string;
  /** Its process; 0 before it runs. */
  readonly pid: number;
  /** Rejects when its process ends without being asked; pending otherwise. */
  readonly lost: Promise<never>;
  /** Stops it; its data and address stay. */
  stop(): Promise<void>;
  /** Starts it and waits until it is ready. */
  start(): Promise<void>;
}

/** A server of one process that a guard runs. */
export class GuardedServer implements Server {
  readonly label: string;
  readonly #launch: () => Promise<GuardedProcess>;
  #running: GuardedProcess;

  /** `running` was launched already; `launch` does it again. */
  constructor(running: GuardedProcess, launch: () => Promise<GuardedProcess>) {
    this.label = running.name;
    this.#running = running;
    this.#launch = launch;
  }

  get pid(): number {
    return this.#running.pid;
  }

  get lost(): Promise<never> {
    return this.#running.lost;
  }

  async stop(): Promise<void> {
    await this.#running.stop();
  }

  /** Has it read its configuration and certificate again, if it runs. */
  reload(): void {
    this.#running.reload();
  }

  async start(): Promise<void> {
    this.#running = await this.#launch();
  }
}
