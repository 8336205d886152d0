import { type Place, places } from "./fault-marks.ts";
import { seeded } from "./random.ts";

/** Something that goes wrong, so many milliseconds after the beginning. */
export type PlannedFault = { atMs: number } & (
  | { what: "kill" | "wipe"; label: string }
  /** Whoever passes there next dies. */
  | { what: "arm"; place: Place }
);

/** All that goes wrong in a run; the same for the same seed, length and processes. */
export interface Plan {
  timeline: PlannedFault[];
  /** Rules for the engine's fault injection: calls that are late, and calls that fail. */
  rules: { share: number; delayMs?: number; code?: number }[];
}

/** Milliseconds between two kills of services. */
const [SHORTEST_MS, LONGEST_MS] = [1_500, 3_500];

const UNAVAILABLE = 14;

export function makePlan(seed: number, seconds: number, services: readonly string[]): Plan {
  const random = seeded(seed);
  const lengthMs = seconds * 1_000;
  const timeline: PlannedFault[] = [];
  let armed: Place[] = [];
  const next = () => random.whole(SHORTEST_MS, LONGEST_MS);
  for (let atMs = next(); atMs < lengthMs; atMs += next()) {
    if (armed.length === 0) armed = random.shuffle(places);
    timeline.push({ atMs, what: "kill", label: random.pick(services) });
    timeline.push({ atMs: atMs + SHORTEST_MS / 2, what: "arm", place: armed.pop()! });
  }
  // Each early enough for what follows to be seen.
  const once = (share: number, what: "kill" | "wipe", label: string) =>
    timeline.push({ atMs: Math.round(lengthMs * (share + random.number() / 10)), what, label });
  once(0.25, "kill", "postgres");
  once(0.45, "kill", "nats");
  once(0.65, "wipe", "nats");
  return {
    timeline: timeline.toSorted((one, other) => one.atMs - other.atMs),
    rules: [
      { share: 0.01, code: UNAVAILABLE },
      { share: 0.03, delayMs: random.whole(50, 250) },
    ],
  };
}
