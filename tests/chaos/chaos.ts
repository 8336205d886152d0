import { rmSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { audit, bootInfrastructure, bootShop, type Infrastructure } from "@emporium/local";
import { FaultMarks, places, serviceOf } from "./fault-marks.ts";
import { type Death, Keeper } from "./keeper.ts";
import { makePlan, type Plan } from "./plan.ts";
import { type ChaosReport, recoveryTimes } from "./report.ts";
import { fillShelves, findViolations, SHELF, TIMES } from "./shelves.ts";
import { watchStock } from "./watchers.ts";
import { Customers } from "./workload.ts";

/** How a run of chaos goes. */
export interface ChaosOptions {
  /** Seconds of trouble; what was begun gets `BOUND_MS` after it. */
  seconds: number;
  /** Decides what goes wrong, and what the clients want. */
  seed: number;
  /** Told what happens, a line each. */
  report?: (line: string) => void;
}

const [CLIENTS, WATCHERS] = [8, 4];
const REPLICAS = { inventory: 2, orders: 2, checkout: 2 };
const LABELS = Object.entries(REPLICAS).flatMap(([name, count]) =>
  Array.from({ length: count }, (_, index) => `${name}-${index + 1}`),
);

/** Milliseconds after the last fault in which all that was begun is finished, and all books agree. */
const BOUND_MS = 60_000;

/**
 * A whole shop of processes under customers while processes are killed at random and at named places,
 * Postgres and NATS too, NATS loses its store, and calls are late or fail. Then the trouble ends, and
 * everything must come to its end.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seconds, seed, report = () => {} } = options;
  await using stack = new AsyncDisposableStack();
  const marks = stack.use(new FaultMarks());
  const plan = makePlan(seed, seconds, LABELS);
  const trouble = { on: true };
  report(`Seed ${seed}: a shop of ${LABELS.length} processes opens`);
  // On disk, as in production: what is acknowledged has to survive.
  const infrastructure = stack.use(await bootInfrastructure({ eventPrefix: "*" }));
  const { postgres, nats, certificates, issuer } = infrastructure;
  const shop = stack.use(
    await bootShop({
      backing: { databases: postgres.databases, natsUrl: nats.url, certificates, issuer },
      processes: true,
      replicas: REPLICAS,
      logLevel: "error",
      shutdownGraceMs: 3_000,
      environment: (label) => ({
        ...TIMES,
        ...marks.variables(serviceOf(label)),
        ...(trouble.on && {
          GRPC_FAULT_INJECTION: "on",
          GRPC_FAULTS: JSON.stringify(plan.rules),
        }),
      }),
    }),
  );
  const keeper = new Keeper([postgres, nats, ...shop.replicas]);
  stack.defer(() => keeper.end());
  await fillShelves(shop, AbortSignal.timeout(BOUND_MS));

  const watching = new AbortController();
  stack.defer(() => watching.abort());
  const watchers = watchStock(shop, WATCHERS, watching.signal);
  using customers = await Customers.enter(shop, { count: CLIENTS, seed, shelf: SHELF });
  const wiped = await followPlan(plan, seconds, { keeper, marks, infrastructure, report });

  report("The trouble ends");
  trouble.on = false;
  marks.disarm();
  await keeper.allUp();
  // In two waves, so that every service stays open; without the rules of faulty calls.
  for (const wave of [1, 2])
    await Promise.all(
      LABELS.filter((label) => label.endsWith(`-${wave}`)).map((label) => keeper.restart(label)),
    );
  const settledMs = await customers.leave(BOUND_MS);
  const books = await audit(shop, BOUND_MS);
  watching.abort();
  const { seen } = customers;
  const watched = await watchers;
  const missed = places.filter((place) => marks.hits(place) === 0);
  return {
    seed,
    seconds,
    calls: seen.calls.length,
    answers: Object.fromEntries(seen.answers),
    deaths: keeper.deaths.length,
    recovery: recoveryTimes([...keeper.deaths, ...wiped], seen.calls),
    settledMs,
    faultPoints: {
      all: places.length,
      hit: places.length - missed.length,
      missed: missed.map(({ service, name }) => `${service} ${name}`),
    },
    watched: { levels: watched.levels, reconnects: watched.reconnects },
    books,
    wrong: [...seen.wrong, ...watched.wrong, ...findViolations(seen)],
  };
}

async function followPlan(
  { timeline }: Plan,
  seconds: number,
  parts: {
    keeper: Keeper;
    marks: FaultMarks;
    infrastructure: Infrastructure;
    report: (line: string) => void;
  },
): Promise<Death[]> {
  const { keeper, marks, infrastructure, report } = parts;
  const planned: Death[] = [];
  const start = performance.now();
  const elapse = (untilMs: number) => wait(Math.max(0, start + untilMs - performance.now()));
  for (const fault of timeline) {
    await elapse(fault.atMs);
    // On a slow machine a start takes longer than the pause between two faults; who is still down
    // cannot be killed again, and a shop that is always down proves nothing.
    await keeper.allUp();
    const [what, whom] =
      fault.what === "arm"
        ? [`arm ${fault.place.service}`, fault.place.name]
        : [fault.what, fault.label];
    report(`${(fault.atMs / 1_000).toFixed(1).padStart(5)} s  ${what} ${whom}`);
    if (fault.what === "arm") marks.arm(fault.place);
    else if (fault.what === "kill") keeper.kill(fault.label);
    else {
      planned.push({ label: `${fault.label} wiped`, at: performance.now() });
      const { store } = infrastructure.nats;
      await keeper.restart(fault.label, async () => rmSync(store, { recursive: true }));
    }
  }
  await elapse(seconds * 1_000);
  return planned;
}
