import { appendFileSync, existsSync, unlinkSync } from "node:fs";
import { join } from "node:path";

/**
 * Called when a process passes a named place, right before or after something that lasts. Off, it
 * does nothing; tests and chaos runs stop, kill or hold up the process there.
 */
export type FaultPoint<Name extends string = string> = (name: Name) => void | Promise<void>;

export const noFaults: FaultPoint = () => {};

/** What can happen at a fault point, by the signal that the process sends itself. */
const SIGNALS = { kill: "SIGKILL", stop: "SIGSTOP", end: "SIGTERM" } as const;

/**
 * Reads `FAULT_POINTS`: places with what happens there, and at which passing (the first where none
 * is named): `after-reserve=kill,before-capture=stop@3`. With `folder=PATH` among them, each passing
 * adds a byte to `<place>.hits` in that folder, and a file `<place>.kill` there, which may come at any
 * time, is the end of the first process that passes. Throws an Error where a place is none of `names`.
 *
 * @example
 * const faultPoint = faultPointsFrom("after-reserve=kill", ["after-reserve"]);
 * await faultPoint("after-reserve"); // the process is gone
 */
export function faultPointsFrom(text: string, names: readonly string[]): FaultPoint {
  const known = new Set(names);
  const faults = new Map<string, { signal: NodeJS.Signals; passings: number }>();
  let folder: string | undefined;
  for (const entry of text.split(",").map((each) => each.trim())) {
    const [, path] = /^folder=(.+)$/.exec(entry) ?? [];
    const [, name, what, at] = /^([A-Za-z.-]+)=(kill|stop|end)(?:@([1-9]\d*))?$/.exec(entry) ?? [];
    if (path) folder = path;
    else if (name && known.has(name))
      faults.set(name, {
        signal: SIGNALS[what as keyof typeof SIGNALS],
        passings: Number(at ?? 1),
      });
    else throw new Error(`${JSON.stringify(entry)} names none of them`);
  }
  return (name) => {
    if (!known.has(name)) return;
    const fault = faults.get(name);
    if (fault && --fault.passings === 0) process.kill(process.pid, fault.signal);
    if (folder === undefined) return;
    appendFileSync(join(folder, `${name}.hits`), ".");
    if (takeAway(join(folder, `${name}.kill`))) process.kill(process.pid, "SIGKILL");
  };
}

/** Whether the file was there; of several processes that ask, one hears that it was. */
function takeAway(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}
