import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** How a promise is proven with its full numbers: a command of this project, and what it is told. */
interface Proof {
  what: string;
  command: string[];
  environment?: Record<string, string>;
}

const vitest = (...files: string[]) => ["vitest", "run", ...files];
const chaos = (...options: string[]) => ["node", "tests/chaos/main.ts", ...options];
const full = { EVENTS_FULL: "1" };

const proofs: Record<string, Proof> = {
  r1: {
    what: "a wiped stream, and one that lost its end",
    command: vitest("packages/events/test/lost-stream.test.ts"),
    environment: full,
  },
  r2: {
    what: "relays that stood still longer than the dedupe window",
    command: vitest("packages/events/test/relay.test.ts", "-t", "\\(R2\\)"),
    environment: full,
  },
  r3: {
    what: "order of versions while relays are killed; poison that delays no other",
    command: vitest("packages/events/test/order.test.ts"),
    environment: full,
  },
  r4: {
    what: "an event that is committed late",
    command: vitest("packages/events/test/relay.test.ts", "-t", "\\(R4\\)"),
    environment: full,
  },
  r5: {
    what: "every step of a checkout, gone wrong in every way",
    command: vitest(
      "services/checkout/test/takeover.test.ts",
      "services/checkout/test/schedules.test.ts",
    ),
    environment: { SCHEDULE_BATCHES: "100" },
  },
  r6: { what: "10,000 schedules in virtual time", command: vitest("tests/simulation") },
  r7: { what: "60 s of chaos, and the history of all calls", command: chaos("--seconds", "60") },
  r10: {
    what: "a cancelled call stops its statement",
    command: vitest("packages/database/test/cancel.test.ts"),
  },
  r12: {
    what: "100 poisonous events among 10,000, and their redrive",
    command: vitest("packages/events/test/dead-letters.test.ts"),
    environment: full,
  },
  points: {
    what: "a process dies at each named place, three times, and how long that is felt",
    command: chaos("--points", "--rounds", "3"),
  },
};

const names = process.argv.slice(2);
if (names.length === 0 || names.some((name) => !proofs[name])) {
  console.log(
    "npm run proof -- NAME…\n  Proves a promise of docs/reliability.md with its full numbers.",
  );
  for (const [name, { what }] of Object.entries(proofs)) console.log(`  ${name.padEnd(7)} ${what}`);
  process.exit(names.includes("--help") ? 0 : 1);
}
const root = join(import.meta.dirname, "..");
const failed = names.filter((name) => {
  const { command, environment } = proofs[name]!;
  const [program = "", ...options] = command;
  const { status } = spawnSync(join(root, "node_modules/.bin", program), options, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: "inherit",
  });
  return status !== 0;
});
if (failed.length > 0) console.error(`Not proven: ${failed.join(", ")}`);
process.exit(failed.length > 0 ? 1 : 0);
