/** What a checkout does to others and writes about itself, in the order of the saga. */
const DEEDS = [
  "start",
  "reserve",
  "authorize",
  "find-payment",
  "create-order",
  "commit-reservation",
  "capture",
  "complete",
  "turn-back",
  "call-off-order",
  "void",
  "release",
  "refuse",
] as const;

export type Deed = (typeof DEEDS)[number];

/** A named place in the saga, right before or after something that lasts. */
export type FaultPointName = `${"before" | "after"}-${Deed}`;

const NAMES = new Set<string>(DEEDS.flatMap((deed) => [`before-${deed}`, `after-${deed}`]));

/**
 * Called when the saga passes a named place. Off, it does nothing; tests and chaos runs stop, kill
 * or hold up the process there.
 */
export type FaultPoint = (name: FaultPointName) => void | Promise<void>;

export const noFaults: FaultPoint = () => {};

/** What can happen at a fault point, by the signal that the process sends itself. */
const SIGNALS = { kill: "SIGKILL", stop: "SIGSTOP", end: "SIGTERM" } as const;

/**
 * Reads `FAULT_POINTS`: places with what happens there, and at which passing (the first where none
 * is named): `after-reserve=kill,before-capture=stop@3`. Returns `undefined` where it
 * is malformed or names no such place.
 *
 * @example
 * const faultPoint = faultsFrom("after-reserve=kill")!;
 * await faultPoint("after-reserve"); // the process is gone
 */
export function faultsFrom(text: string): FaultPoint | undefined {
  const faults = new Map<string, { signal: NodeJS.Signals; passings: number }>();
  for (const entry of text.split(",").filter(Boolean)) {
    const parts = /^([a-z-]+)=(kill|stop|end)(?:@([1-9]\d*))?$/.exec(entry.trim());
    if (!parts?.[1] || !NAMES.has(parts[1])) return undefined;
    const signal = SIGNALS[parts[2] as keyof typeof SIGNALS];
    faults.set(parts[1], { signal, passings: Number(parts[3] ?? 1) });
  }
  if (faults.size === 0) return noFaults;
  return (name) => {
    const fault = faults.get(name);
    if (fault && --fault.passings === 0) process.kill(process.pid, fault.signal);
  };
}
