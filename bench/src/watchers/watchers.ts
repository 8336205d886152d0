import { readFileSync } from "node:fs";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { bootShop, type Shop, stockShop } from "@emporium/local";
import { newId } from "@emporium/runtime";
import { cpuMicros } from "../postgres-cpu.js";
import { type Bench, cpuRatio, median, ratio, shown } from "../ratios.js";
import { Watchers } from "./watching.js";

const COUNTS = [10, 100, 1_000];
/** Changes of a round, one after the other: the CPU time of one is less than a tick. */
const CHANGES = 10;
const CALLER = { as: "load-test", by: "load-test" } as const;

/** What a change cost with so many watchers. */
interface Measure {
  /** CPU time of inventory for each message to a watcher, the change itself included. */
  cpuMicros: number[];
  /** From the call that makes the change to its arrival, at the median watcher. */
  delayMs: number[];
  /** The same at the last watcher. */
  lastMs: number[];
  /** What inventory has grown by for each watcher, in bytes, since there was none. */
  bytesEach: number;
}

/** Changes one product while more and more streams watch it. */
export const benchWatchers: Bench = async ({ quick, rounds = quick ? 3 : 9, progress }) => {
  await using shop = await bootShop({ processes: true, logLevel: "error" });
  using inventory = await shop.client(InventoryService, CALLER);
  const { pid } = shop.replicas.find(({ service }) => service === "inventory")!;
  if (pid === undefined) throw new Error("Inventory has no process of its own");
  await stockShop({
    inventory,
    importId: newId("imp"),
    currency: "GBP",
    products: [{ sku: "watched", title: "WATCHED", listPrice: 255n, unitsSold: 0n, units: 0n }],
  });
  await using watchers = new Watchers(await connections(shop));
  // Warms up, so that what the first changes take of memory is not put down to watchers.
  for (let change = 0; change < 100; change++) await importOne(inventory);
  const measures: Measure[] = [];
  const empty = residentBytes(pid);
  for (const count of COUNTS) {
    await watchers.growTo(count);
    const measure: Measure = { cpuMicros: [], delayMs: [], lastMs: [], bytesEach: 0 };
    for (let round = -1; round < rounds; round++) {
      const delays: number[][] = [];
      const cpu = cpuMicros(pid);
      for (let change = 0; change < CHANGES; change++)
        delays.push(await seen(watchers, () => importOne(inventory)));
      // The first round warms up.
      if (round < 0) continue;
      measure.cpuMicros.push((cpuMicros(pid) - cpu) / count / CHANGES);
      measure.delayMs.push(median(delays.map(median)));
      measure.lastMs.push(median(delays.map((each) => Math.max(...each))));
    }
    measure.bytesEach = (residentBytes(pid) - empty) / count;
    measures.push(measure);
    progress(`${count} watchers`);
  }
  return report(measures);
};

/** Milliseconds from a change until each watcher has it. */
async function seen(watchers: Watchers, change: () => Promise<void>): Promise<number[]> {
  const start = performance.now();
  const arrivals = watchers.next();
  await change();
  return (await arrivals).map((time) => time - start);
}

type Inventory = Awaited<ReturnType<typeof connections>>[number];

/** Each within the calls that one connection may have at once. */
function connections(shop: Shop) {
  const made = Array.from({ length: Math.max(...COUNTS) / 50 }, () =>
    shop.client(InventoryService, {
      ...CALLER,
      // Clients that look alike would share one connection.
      channelOptions: { "grpc.use_local_subchannel_pool": 1 },
    }),
  );
  return Promise.all(made);
}

async function importOne(inventory: Inventory) {
  const entry = { case: "adjustment", value: { sku: "watched", delta: 1n } } as const;
  const importId = newId("imp");
  await inventory.importStock(
    (async function* () {
      yield { importId, entry };
    })(),
  );
}

/** Memory of a process, by proc_pid_status(5); NaN where there is no /proc. */
function residentBytes(pid: number): number {
  try {
    const [, kibibytes] =
      /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kibibytes) * 1024;
  } catch {
    return Number.NaN;
  }
}

function report(measures: Measure[]) {
  const [few, , many] = measures as [Measure, Measure, Measure];
  const cpu = cpuRatio(few.cpuMicros, many.cpuMicros, 1);
  const ratios = {
    // Ticks of 10 ms do not see a change that costs less: then nothing is claimed.
    ...(cpu.median > 0 && { "CPU time of a message, 10 watchers over 1,000": cpu }),
    "delay at the median watcher, 10 over 1,000": ratio(few.delayMs, many.delayMs),
    "delay at the last watcher, 10 over 1,000": ratio(few.lastMs, many.lastMs),
  };
  const figures = measures.map((measure, at) => ({
    watchers: COUNTS[at],
    cpuMicros: median(measure.cpuMicros),
    delayMs: median(measure.delayMs),
    lastMs: median(measure.lastMs),
    bytesEach: measure.bytesEach,
  }));
  const text = [
    "watchers  CPU us/message  delay ms  last ms  kB each",
    ...figures.map((figure) =>
      [
        String(figure.watchers).padStart(8),
        figure.cpuMicros.toFixed(0).padStart(16),
        figure.delayMs.toFixed(1).padStart(10),
        figure.lastMs.toFixed(1).padStart(9),
        (figure.bytesEach / 1000).toFixed(0).padStart(9),
      ].join(""),
    ),
    "",
    ...Object.entries(ratios).map(([name, found]) => `${name}: ${shown(found)}`),
  ].join("\n");
  return { text, data: { ratios, figures, node: process.version } };
}
