import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { migrate } from "@emporium/database";
import { schema as inventorySchema } from "@emporium/inventory";
import { schema as ordersSchema } from "@emporium/orders";
import { schema as checkoutSchema } from "@emporium/checkout";
import { bootInfrastructure, bootShop, type Infrastructure } from "@emporium/local";
import { newId } from "@emporium/runtime";
import { Client } from "pg";
import { callers } from "../callers.js";
import { cpuMicros, postgresCpuMicros } from "../postgres-cpu.js";
import { findPgbench } from "../pgbench.js";
import type { Bench } from "../ratios.js";
import { type Counts, countsOf, perCheckout } from "./counts.js";
import { checkoutLimit, prepareCheckoutLimit } from "./limit.js";
import { type BenchedShop, openObviousShop } from "./obvious-shop.js";
import { type Measure, report, type ShopName } from "./report.js";

const PRODUCTS = 2_800;

/** How long each shop sells before it is measured: V8 compiles what is hot within its first 20 s. */
const WARM_UP_MS = 20_000;
const schemas = { inventory: inventorySchema, orders: ordersSchema, checkout: checkoutSchema };

/** Buys over gRPC, from the shop and from one that is written the obvious way, in turn. */
export const benchCheckout: Bench = async ({ quick, progress }) => {
  const rounds = quick ? 1 : 5;
  const milliseconds = quick ? 500 : 4_000;
  const count = quick ? 4 : 16;
  await using stack = new AsyncDisposableStack();
  const infrastructure = stack.use(await bootInfrastructure({ eventPrefix: "*" }));
  const { postgres, nats, certificates, issuer } = infrastructure;
  const adminUrl = postgres.databases.url("postgres");
  await countStatements(infrastructure, adminUrl);
  progress("Opening two shops");
  const ours = stack.use(
    await bootShop({
      backing: { databases: postgres.databases, natsUrl: nats.url, certificates, issuer },
      processes: true,
      // As in production, and as the other shop.
      nodeArguments: [],
      logLevel: "warn",
    }),
  );
  const checkout = stack.use(await ours.client(CheckoutService, { as: "replay", by: "replay" }));
  const { databaseUrls, replicas } = ours;
  const open: Record<ShopName, BenchedShop> = {
    shop: { checkout, databaseUrls, pids: replicas.map(({ pid }) => pid) },
    obvious: stack.use(
      await openObviousShop(await tablesOf(infrastructure, "obvious"), infrastructure),
    ),
  };
  const measures: Record<ShopName, Measure[]> = { shop: [], obvious: [] };
  const limitUrls = await tablesOf(infrastructure, "limit");
  await stockUp(limitUrls.inventory);
  const program = findPgbench();
  if (program) await prepareCheckoutLimit(limitUrls);
  else progress("There is no pgbench (Debian: postgresql-contrib), so the limit is left out");
  const limits: number[] = [];
  for (const shop of Object.values(open)) {
    await stockUp(shop.databaseUrls.inventory);
    progress("Warming up");
    if (!quick) await measure(shop, { count, milliseconds: WARM_UP_MS }, postgres.pid);
  }
  for (let round = 0; round < rounds; round++) {
    for (const name of ["obvious", "shop"] as const) {
      const shop = open[name];
      const databases = Object.values(shop.databaseUrls).map((url) =>
        new URL(url).pathname.slice(1),
      );
      const before = await countsOf(adminUrl, databases);
      const measured = await measure(shop, { count, milliseconds }, postgres.pid);
      const counts = perCheckout(before, await countsOf(adminUrl, databases), measured.operations);
      measures[name].push({ ...measured, ...counts });
    }
    if (program) {
      const limit = await checkoutLimit(program, limitUrls, milliseconds / 1000);
      limits.push(limit);
    }
    progress(`round ${round + 1} of ${rounds}`);
  }
  return report(measures, limits);
};

/** Has Postgres count statements, for which it has to be started again. */
async function countStatements({ postgres }: Infrastructure, adminUrl: string): Promise<void> {
  const admin = async (sql: string) => {
    const client = new Client({ connectionString: adminUrl });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await admin("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'");
  await postgres.stop();
  await postgres.start();
  await admin("CREATE EXTENSION pg_stat_statements");
}

async function tablesOf({ postgres }: Infrastructure, prefix: string) {
  const urls = { inventory: "", orders: "", checkout: "" };
  for (const name of ["inventory", "orders", "checkout"] as const) {
    urls[name] = await postgres.databases.create(`${prefix}_${name}`);
    const { schemaPath: schema, migrationsPath: migrations } = schemas[name];
    await migrate({ url: urls[name], schema, migrations });
  }
  return urls;
}

async function stockUp(inventoryUrl: string): Promise<void> {
  const client = new Client({ connectionString: inventoryUrl });
  await client.connect();
  await client.query(
    `INSERT INTO product (sku, title, unit_price, on_hand, create_time, update_time)
     SELECT 'even-' || n, 'WHITE HANGING HEART T-LIGHT HOLDER', 255, 1000000000000, now(), now()
     FROM generate_series(0, $1) AS n`,
    [PRODUCTS - 1],
  );
  await client.query("VACUUM (ANALYZE) product");
  await client.end();
}

async function measure(
  { checkout, pids }: BenchedShop,
  { count, milliseconds }: { count: number; milliseconds: number },
  postmaster: number,
): Promise<Omit<Measure, keyof Counts>> {
  const nodes = () => pids.reduce((sum, pid) => sum + cpuMicros(pid), 0);
  const [node, postgres] = [nodes(), postgresCpuMicros(postmaster)];
  const buy = () =>
    checkout.completeOrder({
      checkoutId: newId("chk"),
      customerId: "17850",
      basket: { case: "cart", value: { lines: threeProducts() } },
      paymentToken: "tok_approve",
    });
  const round = await callers(count, milliseconds, buy);
  const { operations, seconds } = round;
  return {
    ...round,
    rate: operations / seconds,
    nodeMicros: (nodes() - node) / operations,
    postgresMicros: (postgresCpuMicros(postmaster) - postgres) / operations,
  };
}

function threeProducts() {
  const first = Math.floor(Math.random() * PRODUCTS);
  return [0, 911, 1822].map((further) => ({
    sku: `even-${(first + further) % PRODUCTS}`,
    quantity: 2n,
  }));
}
