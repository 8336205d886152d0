import "reflect-metadata";
import { migrate } from "@emporium/database";
import { schema } from "@emporium/inventory";
import { bootInfrastructure, type Infrastructure } from "@emporium/local";
import { Client } from "pg";
import { callers } from "../callers.js";
import { findPgbench } from "../pgbench.js";
import { postgresCpuMicros } from "../postgres-cpu.js";
import type { Bench } from "../ratios.js";
import { openGrouped } from "./grouped.js";
import { openInteractive } from "./interactive.js";
import { limit, prepareLimit } from "./limit.js";
import { openOneStatement } from "./one-statement.js";
import { type Mix, mixes } from "./orders.js";
import { type Measure, type MixResult, report } from "./report.js";
import type { Way, WayName } from "./ways.js";

const ways: Record<WayName, (url: string) => Way | Promise<Way>> = {
  interactive: openInteractive,
  "one statement": openOneStatement,
  grouped: openGrouped,
};

/** Reserves stock in three ways on one durable Postgres, in turn, and by pgbench. */
export const benchReserve: Bench = async ({ quick, progress }) => {
  const rounds = quick ? 1 : 7;
  const milliseconds = quick ? 100 : 2_000;
  await using stack = new AsyncDisposableStack();
  const infrastructure = stack.use(await bootInfrastructure());
  const { mixes: all, skus } = await mixes();
  const open: [WayName, Way][] = [];
  for (const name of Object.keys(ways) as WayName[]) {
    const url = await prepareTables(infrastructure, name.replace(" ", "_"), skus);
    open.push([name, stack.use(await ways[name](url))]);
  }
  const program = findPgbench();
  const limitUrl = await prepareTables(infrastructure, "pgbench", skus);
  if (program) await prepareLimit(limitUrl);
  else progress("There is no pgbench (Debian: postgresql-contrib), so the limit is left out");

  const results: MixResult[] = [];
  for (const mix of all) {
    const result: MixResult = {
      mix,
      ways: { interactive: [], "one statement": [], grouped: [] },
      limit: [],
    };
    for (let round = -1; round < rounds; round++) {
      for (const [name, way] of open) {
        const measured = await measure(mix, way, milliseconds, infrastructure.postgres.pid);
        // The first round warms up.
        if (round >= 0) result.ways[name].push(measured);
      }
      if (program && mix.limit) {
        const seconds = milliseconds / 1000;
        const rate = await limit(program, limitUrl, { ...mix.limit, seconds });
        if (round >= 0) result.limit.push(rate);
      }
      progress(`${mix.name}: round ${round + 1} of ${rounds}`);
    }
    results.push(result);
  }
  return report(results);
};

/** A database with the tables of inventory, and more of everything than will be asked for. */
async function prepareTables(
  { postgres }: Infrastructure,
  name: string,
  skus: string[],
): Promise<string> {
  const url = await postgres.databases.create(name);
  await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(
    `INSERT INTO product (sku, title, on_hand, create_time, update_time)
     SELECT sku, sku, 1000000000000, now(), now() FROM unnest($1::text[]) AS sku`,
    [skus],
  );
  await client.query("VACUUM (ANALYZE) product");
  await client.end();
  return url;
}

async function measure(
  { callers: count, next }: Mix,
  way: Way,
  milliseconds: number,
  postmaster: number,
): Promise<Measure> {
  const node = process.cpuUsage();
  const before = postgresCpuMicros(postmaster);
  const round = await callers(count, milliseconds, () => way.reserve(next()));
  const { user, system } = process.cpuUsage(node);
  const after = postgresCpuMicros(postmaster);
  const { operations, seconds } = round;
  return {
    ...round,
    rate: operations / seconds,
    nodeMicros: (user + system) / operations,
    postgresMicros: (after - before) / operations,
  };
}
