import { setTimeout as wait } from "node:timers/promises";
import type { Server } from "@emporium/local";

/** Milliseconds before a server that died is started again. */
const PAUSE_MS = 100;

/** A process that ended without being asked. */
export interface Death {
  label: string;
  /** By `performance.now()`. */
  at: number;
}

/** Starts servers again whenever they die, and notes when they did. */
export class Keeper {
  readonly deaths: Death[] = [];
  readonly #servers: readonly Server[];
  /** Servers that are started again right now. */
  readonly #down = new Map<string, Promise<void>>();
  readonly #told: (death: Death) => void;
  #over = false;

  constructor(servers: readonly Server[], told: (death: Death) => void = () => {}) {
    this.#servers = servers;
    this.#told = told;
    for (const server of servers) void this.#keep(server);
  }

  /** Kills a server as a power cut would; it is there again soon. */
  kill(label: string): void {
    const server = this.#find(label);
    if (server.pid > 0 && !this.#down.has(label)) process.kill(server.pid, "SIGKILL");
  }

  /** Stops a server in order, does something, and starts it again. */
  async restart(label: string, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    await this.#down.get(label);
    const server = this.#find(label);
    await server.stop();
    await meanwhile();
    await this.#start(server);
    void this.#keep(server);
  }

  /** Servers that are down now. */
  get down(): number {
    return this.#down.size;
  }

  /** Waits until nothing is down. */
  async allUp(): Promise<void> {
    while (this.#down.size > 0) await Promise.all(this.#down.values());
  }

  /** Starts nothing any more. */
  end(): void {
    this.#over = true;
  }

  #find(label: string): Server {
    const server = this.#servers.find((each) => each.label === label);
    if (!server) throw new Error(`There is no server ${label}`);
    return server;
  }

  async #keep(server: Server): Promise<void> {
    const { label } = server;
    await server.lost.catch(() => undefined);
    if (this.#over) return;
    // Noted first: it may be started with something else from here on.
    this.#note(label);
    const up = this.#start(server).finally(() => this.#down.delete(label));
    this.#down.set(label, up);
    await up;
    return this.#keep(server);
  }

  #note(label: string): void {
    const death = { label, at: performance.now() };
    this.deaths.push(death);
    this.#told(death);
  }

  /** A server that dies while it starts has died again, and is started again. */
  async #start(server: Server): Promise<void> {
    while (!this.#over) {
      try {
        return await server.start();
      } catch {
        if (this.#over) return;
        this.#note(server.label);
        await wait(PAUSE_MS);
      }
    }
  }
}
