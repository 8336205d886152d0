import { join } from "node:path";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { migrate } from "@emporium/database";
import { createGrpcClient } from "@emporium/grpc";
import { schema } from "@emporium/inventory";
import { bootInfrastructure, type Infrastructure, stockShop, Tokens } from "@emporium/local";
import { newId } from "@emporium/runtime";
import { growth } from "../growth/growth-table.js";
import { type Bench, cpuRatio, median, ratio } from "../ratios.js";
import { pin, ServerProcess } from "../server-process.js";
import { report } from "../report.js";
import { table } from "../table.js";
import type { Start } from "./server.js";
import { Watchers } from "./watching.js";

/** Watchers, and changes of a round, one after the other. */
const STEPS = [
  { count: 10, changes: 10 },
  { count: 100, changes: 10 },
  { count: 1_000, changes: 10 },
  { count: 10_000, changes: 2 },
];
/** A short run stops before the last step. */
const QUICK = STEPS.slice(0, 3);

/** What a change cost with so many watchers. */
interface Measure {
  watchers: number;
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
export const benchWatchers: Bench = async ({ quick, rounds = quick ? 3 : 7, progress }) => {
  await using infrastructure = await bootInfrastructure();
  pin(process.pid, 1);
  using server = await startInventory(infrastructure);
  using inventory = await clientOf(infrastructure, server);
  await stockShop({
    inventory,
    importId: newId("imp"),
    currency: "GBP",
    products: [{ sku: "watched", title: "WATCHED", listPrice: 255n, unitsSold: 0n, units: 0n }],
  });
  const steps = quick ? QUICK : STEPS;
  await using watchers = new Watchers(
    await connections(infrastructure, server, steps.at(-1)!.count),
  );
  // Warms up, so that what the first changes take of memory is not put down to watchers.
  for (let change = 0; change < 100; change++) await importOne(inventory);
  const measures: Measure[] = [];
  const { rss: empty } = await server.usage();
  for (const { count, changes } of steps) {
    await watchers.growTo(count);
    const measure: Measure = {
      watchers: count,
      cpuMicros: [],
      delayMs: [],
      lastMs: [],
      bytesEach: 0,
    };
    for (let round = -1; round < rounds; round++) {
      const delays: number[][] = [];
      const { cpuMicros } = await server.usage();
      for (let change = 0; change < changes; change++)
        delays.push(await seen(watchers, () => importOne(inventory)));
      // The first round warms up.
      if (round < 0) continue;
      const used = (await server.usage()).cpuMicros - cpuMicros;
      measure.cpuMicros.push(used / count / changes);
      measure.delayMs.push(median(delays.map(median)));
      measure.lastMs.push(median(delays.map((each) => Math.max(...each))));
    }
    measure.bytesEach = ((await server.usage()).rss - empty) / count;
    measures.push(measure);
    progress(`${count} watchers`);
  }
  return reportOf(measures);
};

/** Milliseconds from a change until each watcher has it. */
async function seen(watchers: Watchers, change: () => Promise<void>): Promise<number[]> {
  const start = performance.now();
  const arrivals = watchers.next();
  await change();
  return (await arrivals).map((time) => time - start);
}

/** Inventory in a process of its own, with a database that is empty. */
async function startInventory({ postgres, nats, issuer, certificates }: Infrastructure) {
  for (const { pid } of [postgres, nats, issuer]) pin(pid, 0);
  const databaseUrl = await postgres.databases.create("inventory");
  const { schemaPath, migrationsPath: migrations } = schema;
  await migrate({ url: databaseUrl, schema: schemaPath, migrations });
  const start: Start = {
    databaseUrl,
    natsUrl: nats.url,
    issuerUrl: issuer.url,
    certificates: certificates.folder,
  };
  return ServerProcess.start({
    program: join(import.meta.dirname, "server.js"),
    arguments: [JSON.stringify(start)],
  });
}

type Inventory = Awaited<ReturnType<typeof clientOf>>;

async function clientOf({ issuer, certificates }: Infrastructure, { port }: ServerProcess) {
  return createGrpcClient(InventoryService, {
    address: `dns:///127.0.0.1:${port}`,
    tls: { source: await certificates.sourceOf("load-test"), server: "inventory" },
    interceptors: [new Tokens(issuer).of("load-test")],
    // Clients that look alike would share one connection.
    channelOptions: { "grpc.use_local_subchannel_pool": 1 },
  });
}

/** Each within the calls that one connection may have at once. */
function connections(infrastructure: Infrastructure, server: ServerProcess, watchers: number) {
  const made = Array.from({ length: watchers / 50 }, () => clientOf(infrastructure, server));
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

function reportOf(measures: Measure[]) {
  const [few, many] = [measures[0]!, measures.at(-1)!];
  const over = `${few.watchers} watchers over ${many.watchers.toLocaleString("en")}`;
  const cpu = cpuRatio(few.cpuMicros, many.cpuMicros, 1);
  const ratios = {
    [`CPU time of a message, ${over}`]: cpu,
    [`delay at the median watcher, ${over}`]: ratio(few.delayMs, many.delayMs),
    [`delay at the last watcher, ${over}`]: ratio(few.lastMs, many.lastMs),
  };
  const found = table({
    title: "Watchers of a product that changes",
    columns: [
      "watchers",
      "CPU us a message",
      "delay ms, median watcher",
      "delay ms, last",
      "delay us for each",
      "kB each",
    ],
    rows: measures.map((measure) => [
      measure.watchers.toLocaleString("en"),
      median(measure.cpuMicros).toFixed(0),
      median(measure.delayMs).toFixed(1),
      median(measure.lastMs).toFixed(1),
      ((median(measure.lastMs) * 1000) / measure.watchers).toFixed(0),
      (measure.bytesEach / 1000).toFixed(0),
    ]),
    verdict: `CPU time of a message: ${grown(measures, ({ cpuMicros }) => median(cpuMicros))}; delay at the last watcher: ${grown(measures, ({ lastMs }) => median(lastMs))}, since they are told one after the other, and the process that watches has to decode all of it; memory of one from a hundred on: ${grown(measures.slice(1), ({ bytesEach }) => bytesEach)}.`,
  });
  return report({ tables: [found], ratios });
}

function grown(measures: Measure[], of: (measure: Measure) => number): string {
  return growth(
    measures.map(({ watchers }) => watchers),
    measures.map(of),
  );
}
