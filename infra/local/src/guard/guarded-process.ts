import { identify } from "./identity.js";
import type { RecordedProcess } from "./leftovers.js";
import type { Command, FromGuard } from "./messages.js";

/** How a process ended. */
export interface Ending {
  /** `null` where a signal ended it, or it never began. */
  code: number | null;
  signal: string | null;
  /** The last lines of its standard error. */
  errors: string[];
}

/** A process that a guard runs. */
export class GuardedProcess {
  /** Resolves when the process has ended; never rejects. */
  readonly ended: Promise<Ending>;
  /** Rejects when the process ends by itself; pending where it, or everything, is stopped. */
  readonly lost: Promise<never>;
  /** Who it is, for later runs; `undefined` before it runs. */
  recorded: RecordedProcess | undefined;
  readonly #command: Command;
  readonly #ask: (what: "reload" | "stop") => void;
  readonly #lost = Promise.withResolvers<never>();
  readonly #ended = Promise.withResolvers<Ending>();
  #isStopping = false;
  readonly #listeners = new Set<(line: string) => void>();

  constructor(command: Command, ask: (what: "reload" | "stop") => void) {
    this.#command = command;
    this.#ask = ask;
    this.ended = this.#ended.promise;
    this.lost = this.#lost.promise;
    this.lost.catch(() => undefined);
  }

  get name(): string {
    return this.#command.name;
  }

  /** Its id; 0 before it runs. */
  get pid(): number {
    return this.recorded?.pid ?? 0;
  }

  /** Calls a function with every line of output that the command's `tell` lets through. */
  onLine(listener: (line: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Waits for a line of output; rejects with its last errors where the process ends before. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    const { promise, resolve } = Promise.withResolvers<RegExpExecArray>();
    using _ = this.onLine((line) => {
      const match = pattern.exec(line);
      if (match) resolve(match);
    });
    const found = await Promise.race([promise, this.ended]);
    if ("code" in found) throw endedTooEarly(this.name, found);
    return found;
  }

  /** Has it read its configuration again (SIGHUP). Windows knows no such thing, so nothing happens. */
  reload(): void {
    if (process.platform !== "win32") this.#ask("reload");
  }

  /** Stops it as its command says; resolves when it has ended. */
  async stop(): Promise<Ending> {
    this.#isStopping = true;
    this.#ask("stop");
    return this.ended;
  }

  /** Takes what the guard tells. */
  receive(message: FromGuard): void {
    if (message.kind === "spawned") {
      const identity = identify(message.pid) ?? { pid: message.pid, start: "" };
      const { stopSignal, graceMs, stage } = this.#command;
      this.recorded = { ...identity, stopSignal, graceMs, stage };
    } else if (message.kind === "line") {
      for (const listener of this.#listeners) listener(message.line);
    } else {
      const { code, signal, errors } = message;
      this.#ended.resolve({ code, signal, errors });
      if (!this.#isStopping) this.#lost.reject(endedTooEarly(this.name, { code, signal, errors }));
    }
  }

  /** Takes it that the guard is gone, and this process with it. */
  abandon(): void {
    this.#ended.resolve({ code: null, signal: null, errors: ["its guard was killed"] });
  }
}

/** What there is to say of a process that should have gone on. */
export function endedTooEarly(name: string, { code, signal, errors }: Ending): Error {
  const how = signal ? `by ${signal}` : code === null ? "before it began" : `with code ${code}`;
  return new Error([`${name} ended ${how}`, ...errors].join("\n  "));
}
