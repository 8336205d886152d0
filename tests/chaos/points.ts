import { setTimeout as wait } from "node:timers/promises";
import {
  audit,
  type AuditReport,
  bootShop,
  openLetters,
  type Shop,
  type ShopConfig,
} from "@emporium/local";
import { FaultMarks, type Place, places, serviceOf } from "./fault-marks.ts";
import { type Death, Keeper } from "./keeper.ts";
import { emitPoison } from "./poison.ts";
import { seeded } from "./random.ts";
import { type PointsReport, recoveryTimes } from "./report.ts";
import { fillShelves, findViolations, SHELF, TIMES } from "./shelves.ts";
import { Customers, type Seen } from "./workload.ts";

/** How each process is made to die at each named place. */
export interface PointsOptions {
  /** How often a process dies at each place. */
  rounds: number;
  /**
   * Whether the next one dies only when everybody has an answer whom the last one kept waiting: slow,
   * but it tells how long that takes. Otherwise some are about to die at any time.
   */
  oneByOne: boolean;
  seed: number;
  /** Where the shop stands; it boots Postgres and NATS of its own where absent. */
  backing?: ShopConfig["backing"];
  /** Told of each death, a line each. */
  report?: (line: string) => void;
}

const CLIENTS = 6;

/** Places that are armed at one time. */
const AT_ONCE = 6;

const REPLICAS = { checkout: 2 };

/** Milliseconds that the shop gets until somebody has died at the next place. */
const STUCK_MS = 90_000;
const BOUND_MS = 60_000;
const LOOK_MS = 100;

/**
 * Customers buy from a shop whose processes die at each of their named places, right before and right
 * after whatever lasts, as often as there are rounds. Each is started again at once; in the end
 * everything must come to its end, and all books agree.
 */
export async function dieEverywhere(options: PointsOptions): Promise<PointsReport> {
  const { rounds, oneByOne, seed, backing } = options;
  await using stack = new AsyncDisposableStack();
  const marks = stack.use(new FaultMarks());
  const shop = stack.use(
    await bootShop({
      ...(backing && { backing }),
      processes: true,
      replicas: REPLICAS,
      logLevel: "error",
      shutdownGraceMs: 3_000,
      environment: (label) => ({ ...TIMES, ...marks.variables(serviceOf(label)) }),
    }),
  );
  const keeper = new Keeper(shop.replicas);
  stack.defer(() => keeper.end());
  await fillShelves(shop, AbortSignal.timeout(BOUND_MS));
  using customers = await Customers.enter(shop, { count: CLIENTS, seed, shelf: SHELF });
  const { seen } = customers;
  const { deaths, missed } = await strikeAll(options, { shop, marks, keeper, seen });
  marks.disarm();
  await keeper.allUp();
  const settledMs = await customers.leave(BOUND_MS);
  const books = await settle(shop);
  return {
    seed,
    rounds,
    calls: seen.calls.length,
    answers: Object.fromEntries(seen.answers),
    deaths: deaths.length,
    recovery: oneByOne ? recoveryTimes(deaths, seen.calls) : {},
    settledMs,
    missed: missed.map(({ service, name }) => `${service} ${name}`),
    books,
    wrong: [...seen.wrong, ...findViolations(seen)],
  };
}

/** Arms one place after the other, and waits until somebody has died there. */
async function strikeAll(
  { rounds, oneByOne, seed, report = () => {} }: PointsOptions,
  parts: { shop: Shop; marks: FaultMarks; keeper: Keeper; seen: Seen },
): Promise<{ deaths: Death[]; missed: Place[] }> {
  const { shop, marks, keeper, seen } = parts;
  const random = seeded(seed);
  const deaths: Death[] = [];
  const queue = Array.from({ length: rounds }, () => random.shuffle(places)).flat();
  const mostArmed = oneByOne ? 1 : AT_ONCE;
  let armed: Place[] = [];
  let last = performance.now();
  while (queue.length + armed.length > 0 && performance.now() - last < STUCK_MS) {
    const struck = armed.filter((place) => !marks.isArmed(place));
    armed = armed.filter((place) => marks.isArmed(place));
    for (const { service, name } of struck) {
      last = performance.now();
      deaths.push({ label: `${service} ${name}`, at: last });
      report(`${service} died at ${name}; ${queue.length + armed.length} to go`);
    }
    if (oneByOne && struck.length > 0) await seen.recovered();
    if (keeper.down <= 1 && armed.length < mostArmed && queue.length > 0) {
      armed.push(queue[0]!);
      marks.arm(queue.shift()!);
    }
    // Only an event that nobody can read brings a consumer to bury one.
    if (armed.some(({ name }) => name === "consumer.buried"))
      await emitPoison(shop.databaseUrls.orders);
    await wait(LOOK_MS);
  }
  return { deaths, missed: [...armed, ...queue] };
}

/** What was poison stays poison: somebody has to look at it and pass it over. Then all books agree. */
async function settle(shop: Shop): Promise<AuditReport> {
  await using letters = await openLetters(shop);
  const end = performance.now() + BOUND_MS;
  for (;;) {
    const books = await audit(shop, 0);
    if (books.holds || performance.now() > end) return books;
    await letters.discard({ source: "orders" });
    await wait(LOOK_MS);
  }
}
