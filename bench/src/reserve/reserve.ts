import "reflect-metadata";
import { migrate } from "@emporium/database";
import { schema } from "@emporium/inventory";
import { bootInfrastructure } from "@emporium/local";
import { Client } from "pg";
import { callers, type Round } from "../callers.js";
import { postgresCpuMicros } from "../postgres-cpu.js";
import { type Bench, median } from "../ratios.js";
import { openGrouped } from "./grouped.js";
import { openInteractive } from "./interactive.js";
import { openOneStatement } from "./one-statement.js";
import { type Mix, mixes } from "./orders.js";
import type { Way } from "./ways.js";

const ways = {
  interactive: openInteractive,
  "one statement": openOneStatement,
  grouped: openGrouped,
} satisfies Record<string, (url: string) => Way | Promise<Way>>;
type WayName = keyof typeof ways;

/** A measured round of one way. */
interface Measure extends Round {
  rate: number;
  nodeMicros: number;
  postgresMicros: number | undefined;
}

export const benchReserve: Bench = async ({ quick, progress }) => {
  const rounds = quick ? 1 : 5;
  const milliseconds = quick ? 200 : 1_500;
  await using stack = new AsyncDisposableStack();
  const { postgres } = stack.use(await bootInfrastructure());
  const { mixes: all, skus } = await mixes();
  const open = new Map<WayName, Way>();
  for (const name of Object.keys(ways) as WayName[]) {
    const url = await postgres.databases.create(name.replace(" ", "_"));
    await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
    await stockUp(url, skus);
    open.set(name, stack.use(await ways[name](url)));
  }
  const measures = new Map<string, Measure[]>();
  for (const mix of all)
    for (let round = -1; round < rounds; round++) {
      for (const [name, way] of open) {
        const measure = await measureOne(mix, way, milliseconds, postgres.pid);
        const key = `${name}/${mix.name}`;
        if (round >= 0) measures.set(key, [...(measures.get(key) ?? []), measure]);
      }
      progress(`${mix.name}: round ${round + 1} of ${rounds}`);
    }
  return report(measures, all);
};

async function stockUp(url: string, skus: string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(
    `INSERT INTO product (sku, title, on_hand, create_time, update_time)
     SELECT sku, sku, 1000000000000, now(), now() FROM unnest($1::text[]) AS sku`,
    [skus],
  );
  await client.query("VACUUM (ANALYZE) product");
  await client.end();
}

async function measureOne(
  mix: Mix,
  way: Way,
  milliseconds: number,
  postmaster: number,
): Promise<Measure> {
  const node = process.cpuUsage();
  const before = postgresCpuMicros(postmaster);
  const round = await callers(mix.callers, milliseconds, () => way.reserve(mix.next()));
  const { user, system } = process.cpuUsage(node);
  const after = postgresCpuMicros(postmaster);
  return {
    ...round,
    rate: round.operations / round.seconds,
    nodeMicros: (user + system) / round.operations,
    postgresMicros:
      before === undefined || after === undefined ? undefined : (after - before) / round.operations,
  };
}

function report(measures: Map<string, Measure[]>, all: Mix[]) {
  const lines: string[] = [];
  for (const mix of all) {
    lines.push(mix.name);
    for (const name of Object.keys(ways)) {
      const m = measures.get(`${name}/${mix.name}`)!;
      const mid = (pick: (x: Measure) => number) => median(m.map(pick));
      lines.push(
        `  ${name.padEnd(14)} ${mid((x) => x.rate).toFixed(0).padStart(8)}/s  p50 ${mid((x) => x.p50Ms).toFixed(1)} p99 ${mid((x) => x.p99Ms).toFixed(1)} node ${mid((x) => x.nodeMicros).toFixed(0)} us pg ${mid((x) => x.postgresMicros ?? 0).toFixed(0)} us`,
      );
    }
  }
  return { text: lines.join("\n"), data: { ratios: {} } };
}
