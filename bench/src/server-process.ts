import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { Instructions, noInstructions } from "./instructions.js";
import type { Round } from "./rpc/load.js";

/** A measured round of one server. */
export interface Measure {
  cpuMicros: number;
  rate: number;
  p50Ms: number;
  p99Ms: number;
  bytes?: number | undefined;
  /** Instructions of the server for an operation; absent where the machine counts none. */
  instructions?: number;
}

/** CPU microseconds of an operation in each round. */
export const cpuOf = (rounds: Measure[]) => rounds.map(({ cpuMicros }) => cpuMicros);

/** Bytes that came over the wire for an operation in each round, where they were counted. */
export const bytesOf = (rounds: Measure[]) => rounds.map(({ bytes = NaN }) => bytes);

/** Whether this machine counts them; asked once. */
const COUNTS = noInstructions() === undefined;

/** Operations after which the compiler has seen enough of a server: its first ones cost several times as much. */
const WARM = 20_000;
const WARM_ROUNDS = 9;

/** Milliseconds that a server may take to listen, or to tell what it has used. */
const PATIENCE_MS = 30_000;

/** What a server is started with. */
interface Start {
  /** A script for Node, or a program by its path. */
  program: string;
  arguments?: string[];
  /** Messages that it sends down a stream. */
  streamMessages?: number;
}

/** A server in a process of its own on the first core. Dispose of it to kill it, whatever it is at. */
export class ServerProcess implements Disposable {
  /** The most memory that it was seen with, in bytes. */
  rss = 0;
  /** Where it listens, on 127.0.0.1. */
  port = 0;

  private constructor(
    private readonly program: string,
    private readonly process: ChildProcess,
  ) {}

  /** Starts a server, which tells its port (`rpc/served.ts`). */
  static async start(start: Start): Promise<ServerProcess> {
    const { program, streamMessages = 10_000 } = start;
    const script = program.endsWith(".js") ? [program] : [];
    const child = spawn(
      script.length > 0 ? process.execPath : program,
      [...script, ...(start.arguments ?? [])],
      {
        // What a server logs goes where a container's log would: written, not looked at.
        stdio: ["ignore", "ignore", "inherit", "ipc"],
        env: { ...process.env, STREAM_MESSAGES: String(streamMessages), GOMAXPROCS: "1" },
      },
    );
    const server = new ServerProcess(program, child);
    try {
      const told = server.#told<{ port: number }>();
      pin(child.pid!, 0);
      server.port = (await told).port;
      return server;
    } catch (error) {
      server[Symbol.dispose]();
      throw error;
    }
  }

  /** Calls until the server is warm, for at most so many rounds. */
  async warmUp(call: (port: number) => Promise<Round>): Promise<void> {
    let done = 0;
    try {
      for (let round = 0; done < WARM && round < WARM_ROUNDS; round++)
        done += (await call(this.port)).operations;
    } catch {
      // It is measured cold then.
    }
  }

  /** A round whose stream hung is measured again; a second time it is an error. */
  measure(call: (port: number) => Promise<Round>): Promise<Measure> {
    const round = () => this.#round(call);
    return round()
      .catch(round)
      .catch((cause: unknown) => {
        throw new Error(`${this.program} could not be measured`, { cause });
      });
  }

  async #round(call: (port: number) => Promise<Round>): Promise<Measure> {
    const counter = COUNTS ? await Instructions.of(this.process.pid!) : undefined;
    const before = await this.usage();
    const { operations, seconds, p50Ms, p99Ms, bytes } = await call(this.port);
    const cpuMicros = ((await this.usage()).cpuMicros - before.cpuMicros) / operations;
    const instructions = counter && { instructions: (await counter.stop()) / operations };
    return { cpuMicros, rate: operations / seconds, p50Ms, p99Ms, bytes, ...instructions };
  }

  /** CPU time that it has used so far, in microseconds, and the bytes of memory that it has. */
  async usage(): Promise<{ cpuMicros: number; rss: number }> {
    const told = this.#told<{ cpuMicros: number; rss: number }>();
    this.process.send("usage");
    const usage = await told;
    this.rss = Math.max(this.rss, usage.rss);
    return usage;
  }

  /** The next message; rejects where the process ends or stays silent, which no event would tell. */
  async #told<Message>(): Promise<Message> {
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, AbortSignal.timeout(PATIENCE_MS)]);
    try {
      const ended = once(this.process, "exit", { signal }).then(([code]) => {
        throw new Error(`${this.program} ended with code ${code}`);
      });
      return await Promise.race([
        once(this.process, "message", { signal }).then(([message]) => message as Message),
        ended,
      ]);
    } finally {
      waiting.abort();
    }
  }

  [Symbol.dispose](): void {
    // Not asked to leave: a server that spins in a stream would not hear it, and keep the bench alive.
    this.process.kill("SIGKILL");
  }
}

/** Keeps a process on one core, or on some, where the system can. */
export function pin(pid: number, ...cores: number[]): boolean {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", cores.join(), String(pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
