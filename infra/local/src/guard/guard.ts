import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { extname, join } from "node:path";
import type { Run } from "../tools/go-install.js";
import { GuardedProcess } from "./guarded-process.js";
import { identify } from "./identity.js";
import { type RecordedProcess, stopProcesses, writeRecord } from "./leftovers.js";
import type { Command, FromGuard, ToGuard } from "./messages.js";

/** What a guard is told at its start. */
export interface GuardOptions {
  /** A file that says what runs, for `stopLeftovers` of a later start. */
  record?: string;
  /** A folder that the guard deletes when all is over. */
  remove?: string;
}

/**
 * Runs processes that end when this one does, whatever ends it, SIGKILL included: a guard process in
 * between starts them, and stops them in order of their stages. Dispose of it to stop them earlier.
 *
 * @example
 * await using guard = Guard.start({ record: join(directory, "processes.json") });
 * const nats = guard.spawn({ name: "nats", program, programArguments, … });
 * await nats.line(/Server is ready/);
 */
export class Guard implements AsyncDisposable {
  /** Rejects when the guard is killed; its processes are stopped then. Pending otherwise. */
  readonly lost: Promise<never>;
  readonly #guard: ChildProcess;
  readonly #gone: Promise<unknown>;
  readonly #options: GuardOptions;
  readonly #processes = new Map<number, GuardedProcess>();
  #nextId = 1;
  #disposed = false;

  private constructor(guard: ChildProcess, options: GuardOptions) {
    this.#guard = guard;
    this.#options = options;
    this.#gone = once(guard, "exit");
    this.lost = this.#gone.then(() => this.#handleLoss());
    this.lost.catch(() => undefined);
    guard.on("message", (message: FromGuard) => this.#receive(message));
  }

  static start(options: GuardOptions = {}): Guard {
    const script = join(import.meta.dirname, `main${extname(import.meta.filename)}`);
    const guard = fork(script, options.remove === undefined ? [] : [options.remove], {
      // A session of its own: the terminal's Ctrl-C is for the runner, who then stops in order.
      detached: true,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      execArgv: [],
    });
    return new Guard(guard, options);
  }

  /** Starts a process; where that fails, it has `ended` at once. */
  spawn(command: Command): GuardedProcess {
    const id = this.#nextId++;
    const guarded = new GuardedProcess(command, (kind) => this.#send({ kind, id }));
    this.#processes.set(id, guarded);
    if (this.#guard.connected) this.#send({ kind: "spawn", id, command });
    else guarded.abandon();
    return guarded;
  }

  /** Runs a process to its end. */
  readonly run: Run = async (program, programArguments, environment) => {
    const command: Command = {
      name: program,
      program,
      programArguments,
      environment,
      stopSignal: "SIGTERM",
      graceMs: 1000,
      stage: 0,
    };
    const { code, errors } = await this.spawn(command).ended;
    return { code, errors: errors.join("\n") };
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    if (this.#guard.connected) this.#guard.disconnect();
    await this.#gone;
    if (this.#options.record) rmSync(this.#options.record, { force: true });
  }

  #send(message: ToGuard): void {
    // Where the guard is gone, so are its processes, and everybody has been told.
    if (this.#guard.connected) this.#guard.send(message, () => undefined);
  }

  #receive(message: FromGuard): void {
    this.#processes.get(message.id)?.receive(message);
    if (message.kind === "line") return;
    if (message.kind === "ended") this.#processes.delete(message.id);
    if (this.#options.record && this.#guard.pid !== undefined) {
      const guard = identify(this.#guard.pid);
      if (guard) writeRecord(this.#options.record, { guard, children: this.#recorded() });
    }
  }

  #recorded(): RecordedProcess[] {
    const recorded = [...this.#processes.values()].map((each) => each.recorded);
    return recorded.filter((each) => each !== undefined);
  }

  async #handleLoss(): Promise<never> {
    const orphans = this.#recorded();
    for (const guarded of this.#processes.values()) guarded.abandon();
    this.#processes.clear();
    if (this.#disposed) return new Promise(() => undefined);
    await stopProcesses(orphans);
    throw new Error("The guard process was killed; everything it ran has been stopped");
  }
}
