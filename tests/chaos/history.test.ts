import { expect, test } from "vitest";
import { type Account, firstViolation, type Operation, type Step } from "./history.ts";
import { type Random, seeded } from "./random.ts";

const INITIAL: Account = { onHand: 12, reserved: 0 };

const call = (what: string, [start, end]: [number, number], ...steps: Step[]): Operation => ({
  what,
  start,
  end,
  steps,
});
const reserve: Step = { kind: "reserve", units: 2 };
const commit: Step = { kind: "commit", units: 2 };
const read = (onHand: number, reserved: number): Step => ({ kind: "read", onHand, reserved });

const whatIsWrong = (...operations: Operation[]) => firstViolation(INITIAL, operations)?.what;

test("calls one after the other and side by side are explained", () => {
  expect(
    whatIsWrong(
      call("buys", [0, 10], reserve, commit),
      call("sees it begun", [1, 5], read(12, 2)),
      call("sees nothing yet", [1, 9], read(12, 0)),
      call("sees it done", [8, 12], read(10, 0)),
      call("never answered, and happened", [13, Infinity], reserve, commit),
      call("sees half of that", [14, 15], read(10, 2)),
    ),
  ).toBeUndefined();
});

test.each<[string, Operation[]]>([
  ["a stale read", [call("buys", [0, 1], reserve, commit), call("stale", [2, 3], read(12, 0))]],
  [
    "a sale that is undone in silence",
    [
      call("buys", [0, 1], reserve, commit),
      call("sees it", [2, 3], read(10, 0)),
      call("lost", [4, 5], read(12, 0)),
    ],
  ],
  [
    "a sale that is done twice",
    [call("buys", [0, 1], reserve, commit), call("doubled", [2, 3], read(8, 0))],
  ],
  [
    "two that buy the last units",
    [
      call("buys all", [0, 1], { kind: "reserve", units: 12 }, { kind: "commit", units: 12 }),
      call("oversold", [0, 2], reserve, commit),
    ],
  ],
  ["a refusal while there is enough", [call("turned away", [0, 1], { kind: "short", units: 3 })]],
  [
    "two reads that see two sales in opposite order",
    [
      call("buys two", [0, 9], { kind: "reserve", units: 2 }),
      call("buys three", [0, 9], { kind: "reserve", units: 3 }),
      call("sees two", [1, 2], read(12, 2)),
      call("sees three", [3, 4], read(12, 3)),
    ],
  ],
])("%s is found", (_, operations) => {
  expect(whatIsWrong(...operations)).toBe(operations.at(-1)!.what);
});

test("what a real account answers is always explained, and one lie in it is found", () => {
  let found = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const random = seeded(seed);
    const history = play(random);
    expect(firstViolation(INITIAL, history), `seed ${seed}`).toBeUndefined();
    const reads = history.flatMap(({ steps }) => steps).filter((step) => step.kind === "read");
    const lie = reads.at(-1);
    if (!lie) continue;
    // More than all of it can never be there.
    lie.onHand += 13;
    expect(firstViolation(INITIAL, history), `seed ${seed}`).toBeDefined();
    found += 1;
  }
  expect(found).toBeGreaterThan(150);
});

/** Eight clients at an account whose steps happen at random moments within their calls. */
function play(random: Random): Operation[] {
  const account = { ...INITIAL };
  const clients = Array.from({ length: 8 }, () => ({ call: undefined as Operation | undefined }));
  const history: Operation[] = [];
  let now = 0;
  const begin = (): Operation => {
    const units = random.whole(1, 3);
    const steps: Step[] =
      random.number() < 0.5
        ? [read(0, 0)]
        : [
            { kind: "reserve", units },
            { kind: random.pick(["commit", "release"] as const), units },
          ];
    return { what: `call ${history.length}`, start: now, end: Infinity, steps };
  };
  const taken = new Map<Operation, number>();
  for (; now < 300; now++) {
    const client = random.pick(clients);
    if (!client.call) {
      client.call = begin();
      history.push(client.call);
      continue;
    }
    const at = taken.get(client.call) ?? 0;
    const step = client.call.steps[at];
    if (!step) {
      client.call.end = now;
      client.call = undefined;
      continue;
    }
    taken.set(client.call, at + 1);
    if (step.kind === "read") Object.assign(step, account);
    else if (step.kind === "reserve" && account.onHand - account.reserved < step.units)
      client.call.steps = [{ kind: "short", units: step.units }];
    else if (step.kind === "reserve") account.reserved += step.units;
    else if (step.kind === "commit" || step.kind === "release") {
      account.reserved -= step.units;
      if (step.kind === "commit") account.onHand -= step.units;
    }
  }
  // A look that never got its answer proves nothing.
  return history.filter(({ end, steps }) => end < Infinity || steps[0]?.kind !== "read");
}
