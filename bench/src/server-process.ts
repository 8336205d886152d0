import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import type { Round } from "./rpc/load.js";

/** A measured round of one variant. */
export interface Measure {
  cpuMicros: number;
  rate: number;
  p50Ms: number;
  p99Ms: number;
}

/** Operations after which the compiler has seen enough: the first ones cost several times as much. */
const WARM = 20_000;

/** A server that is measured: a process of its own, on a core of its own where the system can. */
export class ServerProcess {
  rss = 0;

  private constructor(
    private readonly process: ChildProcess,
    private readonly port: number,
  ) {}

  /** Starts a script that calls `served` when it can be called. */
  static async start(script: string, ...programArguments: string[]): Promise<ServerProcess> {
    const child = spawn(
      process.execPath,
      [script, ...programArguments],
      // What a server logs goes where a container's log would: written, not looked at.
      { stdio: ["ignore", "ignore", "inherit", "ipc"] },
    );
    pin(child.pid!, 0);
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return new ServerProcess(child, port);
  }

  /** Has it called until it is warm, so often at most. */
  async warmUp(load: (port: number) => Promise<Round>, rounds: number): Promise<void> {
    let done = 0;
    for (let round = 0; done < WARM && round < rounds; round++)
      done += (await load(this.port)).operations;
  }

  /** Has it called, and tells what that cost the server and took the caller. */
  async measure(load: (port: number) => Promise<Round>): Promise<Measure> {
    const before = await this.#usage();
    const { operations, seconds, p50Ms, p99Ms } = await load(this.port);
    const cpuMicros = ((await this.#usage()) - before) / operations;
    return { cpuMicros, rate: operations / seconds, p50Ms, p99Ms };
  }

  async #usage(): Promise<number> {
    this.process.send("usage");
    const [{ cpuMicros, rss }] = (await once(this.process, "message")) as [
      { cpuMicros: number; rss: number },
    ];
    this.rss = Math.max(this.rss, rss);
    return cpuMicros;
  }

  stop(): void {
    this.process.disconnect();
  }
}

/** Keeps a process on one core, where the system can. */
export function pin(pid: number, core: number): boolean {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", String(core), String(pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
