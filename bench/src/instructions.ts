import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";

/** User-space instructions, which other work on the machine does not change. */
const EVENT = "instructions:u";

/**
 * Why this machine counts no instructions, in perf's own words; `undefined` where it does. Virtual
 * machines seldom hand the processor's counters on, and containers seldom allow perf.
 */
export function noInstructions(event = EVENT): string | undefined {
  // perf-stat(1) writes what it counted to standard error.
  const run = spawnSync("perf", ["stat", "-x", ",", "-e", event, "--", "true"], {
    encoding: "utf8",
  });
  if (run.error) return "there is no perf";
  if (run.status !== 0) return `perf refuses ${event}`;
  const [count = ""] = run.stderr.split(",");
  return /^\d/.test(count) ? undefined : `perf says ${count} for ${event}`;
}

/**
 * Counts what a process does until it is asked for the count; all of its threads.
 *
 * @example
 * const counter = await Instructions.of(pid);
 * await work();
 * const count = await counter.stop();
 */
export class Instructions {
  private constructor(private readonly perf: ChildProcess) {}

  /** Resolves when it counts. */
  static async of(pid: number, event = EVENT): Promise<Instructions> {
    const control = ["-D", "-1", "--control", "fd:3,4"];
    const counted = ["-x", ",", "-e", event, "-p", String(pid)];
    const counter = new Instructions(
      spawn("perf", ["stat", ...control, ...counted], {
        stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
      }),
    );
    await counter.#tell("enable");
    return counter;
  }

  /** What was counted; NaN where perf could not. */
  async stop(): Promise<number> {
    const printed = text(this.perf.stderr!);
    await this.#tell("disable");
    this.perf.kill("SIGINT");
    // It also tells that it was enabled and disabled; a process that did not run was not counted.
    const counted = /^([\d.]+|<not counted>),/m.exec(await printed)?.[1];
    return counted === "<not counted>" ? 0 : Number(counted ?? Number.NaN);
  }

  async #tell(command: "enable" | "disable"): Promise<void> {
    const [, , , commands, answers] = this.perf.stdio as unknown as (Writable & Readable)[];
    const ended = once(this.perf, "exit").then(() => {
      throw new Error("perf has ended");
    });
    commands!.write(`${command}\n`);
    await Promise.race([once(answers!, "data"), ended]);
  }
}
