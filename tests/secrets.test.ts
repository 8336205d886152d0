import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { CancelReason, OrderService } from "@emporium/contracts/orders/v2";
import { Code } from "@emporium/grpc";
import {
  announce,
  bootShop,
  readSecrets,
  rotateDataKeys,
  type Shop,
  signingKeysFile,
} from "@emporium/local";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Journey, newOrder, planted, purchase, query } from "./secrets/journey.js";
import { type Found, filesOf, rowsOf, Search, type Secrets } from "./secrets/search.js";

/**
 * A shop of real processes that log all they can, in which things go wrong at every step, while a
 * customer's secrets are in every field. Then all that it wrote and said is searched.
 */
let directory: string;
let shop: Shop;
let announced: Disposable;
let journey: Journey;
let orderId: string;
/** The order that has the address of another one. */
let moved: string;
/** Lines that `npm start` looks at for its user. */
const told: string[] = [];
/** What the commands for the running shop printed. */
const printed: string[] = [];
/** Stands in the order's row for support to read, and nowhere else. */
const note = { "cancel note": "A planted remark of the customer" };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "emporium-secrets-"));
  // Where root runs the tests, Postgres runs as another user.
  await chmod(directory, 0o711);
  const onLine = (_: string, line: string) => void told.push(line);
  const start = { directory, durable: false, processes: true, logLevel: "trace", onLine };
  shop = await bootShop(start);
  announced = announce(directory, shop);
  journey = new Journey(shop);
  // Postgres, too, logs all it can: every statement, with its parameters.
  const admin = new URL("/postgres", shop.databaseUrls.orders);
  admin.search = new URL(shop.databaseUrls.orders).search;
  admin.username = "postgres";
  admin.password = await readFile(join(directory, "postgres/password"), "utf8");
  await query(admin.href, "ALTER SYSTEM SET log_statement = 'all'");
  await query(admin.href, "ALTER SYSTEM SET log_parameter_max_length_on_error = -1");
  await query(admin.href, "SELECT pg_reload_conf()");
});

afterAll(async () => {
  announced?.[Symbol.dispose]();
  await shop?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function run(name: string, ...options: string[]): Promise<string> {
  const program = join(import.meta.dirname, `../infra/local/dist/commands/${name}.js`);
  const env = { ...process.env, EMPORIUM_DIR: directory, LOG_LEVEL: "trace" };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...options], {
    env,
  });
  printed.push(stdout, stderr);
  return stdout;
}

test("a purchase is made, and all that can go wrong goes wrong", { timeout: 240_000 }, async () => {
  const bought = await journey.buy();
  orderId = bought.orderId;
  await journey.breakRules(bought.checkoutId);
  await journey.beRefused(bought);
  moved = await journey.breakThings(orderId);

  using checkout = await journey.client(CheckoutService, "ada");
  using orders = await journey.client(OrderService, "ada");
  using delegate = await journey.client(OrderService, "checkout", "checkout");
  const postgres = shop.servers.find(({ label }) => label === "postgres")!;
  await postgres.stop();
  await journey.refused(Code.Unavailable, delegate.createOrder(newOrder()));
  await journey.refused(Code.Unavailable, checkout.completeOrder(purchase()));
  await postgres.start();
  const found = () => orders.getOrder({ orderId }).then(({ order }) => order?.orderId, String);
  await expect.poll(found, { timeout: 60_000 }).toBe(orderId);

  const reason = CancelReason.CUSTOMER_REQUEST;
  await orders.cancelOrder({ orderId, reason, note: note["cancel note"] });
  // As after a restore from a backup: what was published once is published under another id.
  await query(
    shop.databaseUrls.orders,
    `UPDATE outbox SET id = gen_random_uuid(), publish_time = NULL WHERE aggregate_id = '${orderId}'`,
  );
  const letters = async () => {
    const list = JSON.parse(await run("dlq", "list", "--json")) as { eventId: string }[];
    return new Set(list.map(({ eventId }) => eventId));
  };
  await expect.poll(async () => (await letters()).size, { timeout: 60_000 }).toBeGreaterThan(0);
  for (const eventId of await letters()) await run("dlq", "show", eventId);
  await run("dlq", "list");
  // The books do not agree: rows were changed above.
  await run("audit").catch(({ stdout, stderr }: { stdout: string; stderr: string }) =>
    printed.push(stdout, stderr),
  );
});

/** What the shop's own files are there to keep: keys, passwords, secrets of programs. */
async function kept(files: Found[]): Promise<Secrets> {
  const json = async <Shape>(path: string) => JSON.parse(await readFile(path, "utf8")) as Shape;
  const password = await readFile(join(directory, "postgres/password"), "utf8");
  const secrets: Secrets = { "password of postgres": password };
  for (const [name, url] of Object.entries(shop.databaseUrls))
    secrets[`password of ${name}`] = decodeURIComponent(new URL(url).password);
  const { passwords, clientSecrets, cookieKey } = await readSecrets(shop.issuer.folder);
  for (const [name, secret] of Object.entries({ ...passwords, ...clientSecrets, cookieKey }))
    secrets[`secret of ${name}`] = secret;
  const { keys } = await json<{ keys: Secrets }>(join(directory, "data-keys.json"));
  for (const [id, key] of Object.entries(keys)) secrets[`data key ${id}`] = key;
  const signing = await json<{ keys: { kid: string; d: string }[] }>(
    signingKeysFile(shop.issuer.folder),
  );
  for (const { kid, d } of signing.keys) secrets[`signing key ${kid}`] = d;
  for (const { path, content } of files) {
    // The first line of a key is much the same in all of them.
    const [, line] = /PRIVATE KEY-----\n.+\n(.+)\n/.exec(content.toString("latin1")) ?? [];
    if (line) secrets[`private key ${path}`] = line;
  }
  return secrets;
}

/** Files that are there to keep secrets. */
const keepers =
  /^(issuer\/(secrets|settings|signing-keys)\.json|issuer\/client-keys\/|certificates\/[^/]+\/(tls|ca)\.key|(data-keys|shop)\.json|postgres\/(password|data\/server\.key))/;

test("nothing that it wrote or said tells a secret", { timeout: 120_000 }, async () => {
  const files = await Array.fromAsync(filesOf(directory));
  expect(files.map(({ path }) => path)).toEqual(
    expect.arrayContaining(shop.servers.map(({ label }) => `logs/${label}.log`)),
  );
  const rows = Object.entries(shop.databaseUrls).map(
    async ([name, url]) => [`rows of ${name}`, await rowsOf(url)] as const,
  );
  const said = [
    ["refusals", journey.refusals.join("\n")],
    ["commands", printed.join("\n")],
    ["npm start", told.join("\n")],
    ...(await Promise.all(rows)),
  ] as const;
  const look = (search: Search) => [
    ...files.flatMap(({ path, content }) => search.in(path, content)),
    ...said.flatMap(([place, content]) => search.in(place, content)),
  ];
  expect(look(new Search({ ...planted, ...(await journey.tokens()) }))).toEqual([]);

  const places = look(new Search(note)).map((hit) => hit.replace("cancel note in ", ""));
  expect(places).toContain("rows of orders");
  expect(
    places.filter((place) => !/^(rows of orders$|postgres\/|logs\/postgres\.)/.test(place)),
  ).toEqual([]);

  const secrets = await kept(files);
  const search = new Search(secrets);
  const hits = files.flatMap(({ path, content, open }) =>
    search.in(path, content).map((hit) => ({ hit, path, open })),
  );
  expect(hits.filter(({ path, open }) => open || !keepers.test(path))).toEqual([]);
  expect(said.flatMap(([place, content]) => search.in(place, content))).toEqual([]);
  // Each was found where it is kept, so it would have been elsewhere.
  for (const name of Object.keys(secrets))
    expect(hits.map(({ hit }) => hit)).toContainEqual(expect.stringContaining(`${name} in `));
  // And so was what may be told, in every place that there is.
  const seen = look(new Search({ orderId })).join("\n");
  for (const place of [
    "logs/postgres.log",
    "postgres/data/",
    "EMPORIUM_ORDERS/",
    "EMPORIUM_CHECKOUT/",
    "EMPORIUM_DEAD_LETTERS/",
    "commands",
    ...Object.keys(shop.databaseUrls).map((name) => `rows of ${name}`),
  ])
    expect(seen).toContain(place);
  const broken = look(new Search({ text: "violates check constraint" })).join("\n");
  expect(broken).toContain("logs/orders.log");
  expect(broken).toContain("logs/checkout.log");
  expect(look(new Search({ field: "shipping_address.phone" }))).toContain("field in refusals");
});

test("every form that a secret may have is found", () => {
  const search = new Search({ email: "ada+planted@example.com" });
  const bytes = Buffer.from("ada+planted@example.com");
  const forms = [
    bytes.toString(),
    bytes.toString("hex"),
    "ada%2Bplanted%40example.com",
    ...["", "a", "ab"].map((before) =>
      Buffer.from(`${before}${bytes.toString()} after`).toString("base64"),
    ),
  ];
  for (const form of forms) expect(search.in("log", `before ${form}`)).toEqual(["email in log"]);
  expect(search.in("log", "ada@example.com")).toEqual([]);
});

test("keys of data at rest change while the shop sells", { timeout: 120_000 }, async () => {
  interface Key {
    id: string;
    primary: boolean;
    known: boolean;
    values: Record<string, number>;
  }
  const list = async () => JSON.parse(await run("data-keys", "list", "--json")) as Key[];
  const [first, ...none] = await list();
  expect(none).toEqual([]);
  expect(first).toMatchObject({ primary: true, known: true });

  using orders = await journey.client(OrderService, "checkout", "checkout");
  const placed: ReturnType<typeof newOrder>[] = [];
  const stop = new AbortController();
  const selling = (async () => {
    while (!stop.signal.aborted) {
      const order = newOrder();
      await orders.createOrder(order);
      placed.push(order);
    }
  })();
  try {
    await expect.poll(() => placed.length).toBeGreaterThan(5);
    // A value that was moved from its row: somebody has to look at it before keys may go.
    const url = shop.databaseUrls.orders;
    await expect(run("data-keys", "rotate")).rejects.toThrow(/in orders\/ord_\w+ cannot be opened/);
    await query(url, `UPDATE orders SET sealed_address = NULL WHERE order_id = '${moved}'`);
    await run("data-keys", "rotate");
    const keys = await list();
    expect(keys).toHaveLength(3);
    const { databaseUrls } = shop;
    const keyFile = join(directory, "data-keys.json");
    // Half a minute by default, and calls take milliseconds here.
    const rotation = { keyFile, databaseUrls, dropOld: true, settleMs: 2_000 };
    const { primary, dropped } = await rotateDataKeys(rotation);
    expect(dropped.toSorted()).toEqual(keys.map(({ id }) => id).toSorted());
    const sold = placed.length;
    await expect.poll(() => placed.length).toBeGreaterThan(sold + 5);
    const left = await list();
    expect(left).toMatchObject([{ id: primary, primary: true, known: true }]);
    expect(left[0]?.values["orders.sealed_address"]).toBeGreaterThan(sold);
  } finally {
    stop.abort();
    await selling;
  }
  using support = await journey.client(OrderService, "support");
  for (const { orderId, shippingAddress } of [placed[0]!, placed.at(-1)!]) {
    const { order } = await support.getOrder({ orderId });
    expect(order?.shippingAddress).toMatchObject(shippingAddress);
  }
});
