import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { OrderService } from "@emporium/contracts/orders/v1";
import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Certificates } from "../src/certificates/certificates.js";
import type { RunningShop } from "../src/commands/running-shop.js";
import { hasEnded } from "../src/guard/identity.js";
import type { ProcessRecord } from "../src/guard/leftovers.js";
import { freePort } from "../src/ports.js";
import { projectDirectory } from "../src/project.js";
import { clientsOf } from "../src/shop/clients.js";
import type { Shop } from "../src/shop/shop.js";

/** The commands behind `npm start` and `npm run demo`, as they are built. */
const built = join(projectDirectory, "infra/local/dist/commands");
let directory: string;
let environment: NodeJS.ProcessEnv;
let commands: ChildProcess[];

beforeEach(async () => {
  if (!existsSync(built)) throw new Error("These tests run what is built: npm run build");
  directory = await mkdtemp(join(tmpdir(), "emporium-commands-"));
  // Where root runs the tests, Postgres runs as another user.
  await chmod(directory, 0o711);
  commands = [];
  environment = { ...process.env, EMPORIUM_DIR: directory };
  for (const name of ["POSTGRES", "NATS", "INVENTORY", "ORDERS", "CHECKOUT"])
    environment[`${name}_PORT`] = String(await freePort());
});
afterEach(async () => {
  await Promise.all(commands.map((command) => end(command, "SIGTERM")));
  await rm(directory, { recursive: true });
});

function run(name: string, ...options: string[]): ChildProcess {
  const command = spawn(process.execPath, [join(built, `${name}.js`), ...options], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  commands.push(command);
  return command;
}

async function end(command: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (command.exitCode === null && command.signalCode === null) {
    command.kill(signal);
    await once(command, "exit");
  }
  return command.exitCode;
}

/** Runs a command to its end. */
async function outcome(name: string, ...options: string[]) {
  const command = run(name, ...options);
  const [[code], output, errors] = await Promise.all([
    once(command, "exit"),
    text(command.stdout!),
    text(command.stderr!),
  ]);
  return { code, output, errors };
}

/** Starts the shop; resolves with the addresses when it is open. */
async function openShop(...options: string[]) {
  const command = run("start", "--json", ...options);
  const errors = text(command.stderr!);
  const [line] = await Promise.race([
    once(command.stdout!, "data"),
    errors.then((said) => Promise.reject(new Error(said))),
  ]);
  return { command, addresses: JSON.parse(String(line)) as Shop["addresses"] };
}

function processes() {
  const record = JSON.parse(readFileSync(join(directory, "processes.json"), "utf8"));
  const { guard, children } = record as ProcessRecord;
  return [guard, ...children];
}

/** Programs whose command line names the shop's directory. */
function running(): string[] {
  const lines = execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => line.includes(directory));
}

test(
  "the shop opens, sells, survives the kill of its runner, and closes",
  { timeout: 120_000 },
  async () => {
    const first = await openShop();
    const demo = await outcome("demo");
    expect(demo).toMatchObject({ code: 0, errors: "" });
    const steps = ["STARTED", "STOCK_RESERVED", "PAYMENT_AUTHORIZED", "ORDER_CREATED"];
    expect(demo.output).toMatch(
      new RegExp([...steps, "STOCK_COMMITTED", "COMPLETED"].join("[^]*")),
    );
    const orderId = /ord_\w{26}/.exec(demo.output)?.[0] ?? "";

    const second = await outcome("start");
    expect(second).toEqual({
      code: 1,
      output: "",
      errors: `A shop runs on ${directory} already (process ${first.command.pid}). Stop it first, or set EMPORIUM_DIR to another folder.\n`,
    });

    const started = processes();
    expect(started).toHaveLength(6);
    await end(first.command, "SIGKILL");
    const gone = await Promise.all(started.map((each) => hasEnded(each, 10_000)));
    expect(gone).toEqual(started.map(() => true));

    const again = await openShop();
    const certificates = await Certificates.open(join(directory, "certificates"));
    const visitor = clientsOf(again.addresses, certificates);
    using orders = await visitor.client(OrderService, { as: "test" });
    expect((await orders.getOrder({ orderId })).order?.orderId).toBe(orderId);
    expect(await end(again.command, "SIGINT")).toBe(0);
    expect(running()).toEqual([]);
  },
);

async function query(url: string, sql: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

test(
  "a dead letter of the running shop is listed, shown and redriven, and then the books agree",
  { timeout: 120_000 },
  async () => {
    const { command } = await openShop();
    const dlq = async (...options: string[]) => {
      const { code, output, errors } = await outcome("dlq", ...options, "--json");
      expect(errors).toBe("");
      expect(code).toBe(0);
      return JSON.parse(output) as Record<string, unknown>[] & { redriven?: number };
    };
    const untilThereAre = async (count: number) => {
      for (;;) {
        const list = await dlq("list");
        if (list.length === count) return list;
        await delay(200);
      }
    };
    const orderId = /ord_\w{26}/.exec((await outcome("demo")).output)?.[0] ?? "";
    expect(await dlq("list")).toEqual([]);

    // As after a restore from a backup: what was published once is published under another id.
    const { databaseUrls } = JSON.parse(
      readFileSync(join(directory, "shop.json"), "utf8"),
    ) as RunningShop;
    await query(
      databaseUrls.orders,
      `UPDATE outbox SET id = gen_random_uuid(), publish_time = NULL WHERE aggregate_id = '${orderId}'`,
    );
    const [one, other] = await untilThereAre(2);
    expect(one).toMatchObject({ reason: "VERSION_CONFLICT", source: "orders", attempts: 0 });
    expect([one?.consumer, other?.consumer].toSorted()).toEqual([
      "checkout-refunds",
      "inventory-returned-goods",
    ]);
    expect((await outcome("dlq", "list")).output).toContain("VERSION_CONFLICT");

    const [shown] = await dlq("show", String(one?.eventId));
    expect(shown).toMatchObject({ type: "emporium.orders.v1.OrderPlaced", aggregateId: orderId });
    expect(shown?.payload).toMatchObject({ order: { orderId, customerId: "demo" } });

    for (const service of ["inventory", "checkout"] as const)
      await query(
        databaseUrls[service],
        `DELETE FROM inbox_position WHERE aggregate_id = '${orderId}'`,
      );
    expect((await dlq("redrive", "--all")).redriven).toBe(2);
    await untilThereAre(0);
    const unknown = await outcome("dlq", "redrive", "nothing");
    expect(unknown).toMatchObject({ code: 1, errors: "There is no dead letter of nothing\n" });

    const audited = await outcome("audit");
    expect(audited).toMatchObject({ code: 0, errors: "" });
    expect(audited.output).toContain("All books agree");
    expect(await end(command, "SIGINT")).toBe(0);
  },
);

test.each([1000, 2500])(
  "an end that is asked for %i ms after the start leaves nothing behind",
  { timeout: 60_000 },
  async (moment) => {
    const command = run("start", "--json");
    // A moment is what this is about: there is no event to wait for.
    await delay(moment);
    await end(command, "SIGINT");
    expect(running()).toEqual([]);
  },
);

test(
  "the demo opens a shop for itself where none runs, and closes it",
  { timeout: 120_000 },
  async () => {
    const demo = await outcome("demo");
    expect(demo).toMatchObject({ code: 0 });
    expect(demo.errors).toContain("No shop runs");
    expect(demo.output).toMatch(/2093 on hand[^]*COMPLETED[^]*2092 on hand/);
    expect(running()).toEqual([]);
  },
);

test("every wrong variable is told in a line of its own, with exit code 1", async () => {
  environment.NATS_PORT = environment.CHECKOUT_PORT = "many";
  expect(await outcome("start")).toEqual({
    code: 1,
    output: "",
    errors:
      "NATS_PORT is wrong: a port from 1 to 65535, usually 14222\n" +
      "CHECKOUT_PORT is wrong: a port from 1 to 65535, usually 50053\n",
  });
});
