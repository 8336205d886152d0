import exec from "k6/execution";
import { Counter, Trend } from "k6/metrics";
import { setTimeout } from "k6/timers";
import { buy, pause } from "./customers.ts";
import { anyBasket } from "./baskets.ts";
import { newId } from "./ids.ts";
import { thresholds } from "./objectives.ts";
import { MEASURED, script } from "./phases.ts";
import { settings } from "./settings.ts";
import { failed, hangUp, stream } from "./shop.ts";

const seconds = settings.seconds || 60;
/** Watchers of stock, `--rate` of them; each virtual user has so many streams on its connection. */
const WATCHERS = settings.rate || 1000;
const STREAMS_EACH = 50;

const levels = new Counter("watch_levels");
const imported = new Counter("import_adjustments");
const sessionAnswer = new Trend("session_answer", true);

/**
 * Streams of all kinds at once: a thousand watchers while orders change what they watch, imports that
 * stream adjustments up, and sessions that talk both ways.
 */
export const { options, handleSummary } = script({
  scenarios: {
    watchers: {
      executor: "per-vu-iterations",
      exec: "watch",
      vus: Math.ceil(WATCHERS / STREAMS_EACH),
      iterations: 1,
      maxDuration: `${seconds + 30}s`,
    },
    changes: {
      executor: "constant-arrival-rate",
      exec: "buy",
      rate: 5,
      duration: `${seconds}s`,
      preAllocatedVUs: 20,
      maxVUs: 60,
    },
    imports: {
      executor: "constant-arrival-rate",
      exec: "importStock",
      rate: 1,
      timeUnit: "5s",
      duration: `${seconds}s`,
      preAllocatedVUs: 2,
      maxVUs: 6,
    },
    sessions: {
      executor: "constant-arrival-rate",
      exec: "session",
      rate: 2,
      duration: `${seconds}s`,
      preAllocatedVUs: 10,
      maxVUs: 40,
    },
  },
  thresholds: {
    ...thresholds(["CompleteOrder"], { slack: 4, dropped: false }),
    watch_levels: ["count>0"],
    import_adjustments: ["count>0"],
    [`session_answer{${MEASURED}}`]: ["p(95)<1000"],
  },
  warmUp: 20,
});

/** Opens this user's share of the watchers, and counts what they are told until the time is over. */
export async function watch(): Promise<void> {
  const ends = exec.scenario.startTime + seconds * 1000;
  try {
    await Promise.all(Array.from({ length: STREAMS_EACH }, () => watchOne(ends)));
  } finally {
    // Not stream by stream: k6 waits for ever in `end()` of one that the server has ended.
    hangUp("inventory");
  }
}

function watchOne(ends: number): Promise<void> {
  const watching = stream("inventory", "WatchStock");
  return new Promise((resolve) => {
    let over = false;
    const end = (good: boolean) => {
      if (over) return;
      over = true;
      failed.add(!good, { rpc: "WatchStock" });
      resolve();
    };
    watching.on("data", (message) => {
      levels.add((message as { levels?: unknown[] }).levels?.length ?? 0);
      if (Date.now() >= ends) end(true);
    });
    watching.on("error", () => end(Date.now() >= ends));
    watching.on("end", () => end(Date.now() >= ends));
    watching.write({
      skus: anyBasket()
        .lines.map(({ sku }) => sku)
        .slice(0, 10),
    });
    setTimeout(() => end(true), Math.max(0, ends - Date.now()));
  });
}

/** Sends two hundred adjustments up one stream and waits for the one summary. */
export function importStock(): Promise<void> {
  const importId = newId("imp");
  const entries = Array.from({ length: 200 }, () => anyBasket().lines[0]!.sku);
  const importing = stream("inventory", "ImportStock");
  return new Promise((resolve) => {
    importing.on("data", (summary) => {
      const { applied, rejected } = summary as { applied?: string; rejected?: string };
      imported.add(Number(applied ?? 0));
      failed.add(Number(rejected ?? 0) > 0, { rpc: "ImportStock" });
      resolve();
    });
    importing.on("error", () => {
      failed.add(true, { rpc: "ImportStock" });
      resolve();
    });
    for (const sku of entries) importing.write({ importId, adjustment: { sku, delta: "1" } });
    importing.end();
  });
}

/** Fills a cart in a conversation, line by line, and leaves without buying. */
export function session(): Promise<void> {
  const { customerId, lines } = anyBasket();
  const edits = lines.slice(0, 5);
  const talking = stream("checkout", "ShopSession");
  return new Promise((resolve) => {
    let asked = Date.now();
    let answered = 0;
    const next = () => {
      const line = edits[answered - 1];
      if (!line) return talking.end();
      asked = Date.now();
      talking.write({ setLine: line });
    };
    talking.on("data", () => {
      sessionAnswer.add(Date.now() - asked);
      answered += 1;
      next();
    });
    talking.on("error", () => {
      failed.add(true, { rpc: "ShopSession" });
      resolve();
    });
    talking.on("end", () => {
      failed.add(answered === 0, { rpc: "ShopSession" });
      resolve();
    });
    talking.write({ start: { customerId } });
  });
}

/** What is judged by its time: checkouts and sessions. */
export async function warmUp(): Promise<void> {
  buy();
  await session();
  pause();
}

export { buy };
