import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { docker, findEngine } from "./engine.js";
import { ComposedShop, type Report, until } from "./shop.js";

const engine = await findEngine();
if (typeof engine === "string") console.log(`SKIPPED, nothing was run in containers: ${engine}`);

const root = join(import.meta.dirname, "../../..");
const services = ["inventory", "orders", "checkout"];

/** Calls a second: what three replicas of each service serve on two cores that others use as well. */
const RATE = 20;

/** Milliseconds that NATS is away; a minute in the full form. */
const AWAY_MS = process.env["FULL"] ? 60_000 : 15_000;

describe.skipIf(typeof engine === "string")("the shop in containers", () => {
  const shop = new ComposedShop();

  beforeAll(() => shop.open());

  afterAll(async () => {
    await shop[Symbol.asyncDispose]();
    if (typeof engine !== "string") await engine[Symbol.asyncDispose]();
  });

  test("a customer buys, and sends it back", async () => {
    expect(await shop.journey()).toContain("the unit is back on the shelf");
  });

  test("an image adds less than 250 MB to Node", async () => {
    const size = async (image: string) =>
      Number(await docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6;
    const dockerfile = readFileSync(join(root, "infra/docker/Dockerfile"), "utf8");
    const base = await size(/^FROM (node:[\w.-]+)/m.exec(dockerfile)![1]!);
    for (const service of services) {
      const [replica] = await shop.replicas(service);
      const added =
        (await size(await docker("inspect", "--format", "{{.Image}}", replica!))) - base;
      const ready = await millisecondsToServe(replica!);
      console.log(`${service}: ${added.toFixed(0)} MB above its base, served after ${ready} ms`);
      expect(added).toBeLessThan(250);
    }
  });

  test("no process may more than it needs", async () => {
    for (const container of (await shop.compose("ps", "--quiet")).split("\n")) {
      const [found] = JSON.parse(await docker("inspect", container)) as [Inspected];
      expect({ name: found.Name, ...found.HostConfig }).toMatchObject({
        name: found.Name,
        ReadonlyRootfs: true,
        Privileged: false,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges:true"],
      });
      expect(found.HostConfig.Memory).toBeGreaterThan(0);
      const root = /^(root|0)?$/.test(found.Config.User);
      expect(root).toBe(found.Name.includes("certificates"));
    }
  });

  test("a service cannot tell the events of another, and nobody reaches NATS unknown", async () => {
    const [orders] = await shop.replicas("orders");
    const said = await docker("exec", orders!, "node", "--input-type=module", "--eval", FORGERY);
    const { forbidden, unknown } = JSON.parse(said) as { forbidden: string[]; unknown: string };
    expect(forbidden).toEqual([expect.stringContaining("emporium.inventory.v1.StockChanged.TEA")]);
    expect(unknown).toMatch(/certificate|closed|reset/i);
  });

  test("three replicas get the same share of calls, within a tenth", async () => {
    const traffic = await shop.traffic(RATE);
    const before = await traffic.goOn(1);
    const after = await traffic.goOn(450);
    await traffic.stop();
    for (const service of ["InventoryService", "OrderService"]) {
      const shares = sharesOf(service, before, after);
      const even = shares.reduce((sum, share) => sum + share, 0) / 3;
      console.log(`${service}: ${shares.join(", ")} calls`);
      for (const share of shares) expect(Math.abs(share - even)).toBeLessThan(even / 10);
    }
  });

  test.for(services)("a replica of %s is killed, and no call is lost", async (service) => {
    const traffic = await shop.traffic(RATE);
    const [, victim] = await shop.replicas(service);
    await docker("kill", victim!);
    await traffic.goOn(150);
    await docker("start", victim!);
    await shop.healthy(victim!);
    await traffic.goOn(100);
    const { failures, succeeded } = await traffic.stop();
    console.log(`${succeeded} calls, ${failures.length} failed`);
    expect(lost(failures)).toEqual([]);
  });

  test("every process of every service is replaced in turn, and no call is lost", async () => {
    const traffic = await shop.traffic(RATE);
    for (const service of services) {
      for (const replica of await shop.replicas(service)) {
        await docker("stop", replica);
        const exit = await docker("inspect", "--format", "{{.State.ExitCode}}", replica);
        // It has drained and ended by itself, and was not killed.
        expect(exit).toBe("0");
        await docker("start", replica);
        await shop.healthy(replica);
        await traffic.goOn(60);
      }
    }
    const { failures, succeeded } = await traffic.stop();
    console.log(`${succeeded} calls, ${failures.length} failed`);
    expect(lost(failures)).toEqual([]);
  });

  test("while NATS is away the shop sells, and what happened is told afterwards", async () => {
    await shop.compose("stop", "nats");
    const journey = shop.journey();
    await delay(AWAY_MS);
    await shop.compose("start", "nats");
    expect(await journey).toContain("the unit is back on the shelf");
  });

  test("after Postgres was restarted the shop goes on by itself", async () => {
    const traffic = await shop.traffic(RATE);
    await shop.compose("restart", "postgres");
    await traffic.goOn(100);
    const { failures, sent } = await traffic.stop();
    console.log(`${sent} calls, ${failures.length} failed while Postgres was away`);
    expect(await shop.journey()).toContain("the unit is back on the shelf");
  });
});

/** What an intruder in orders' container would try, with the certificate that is there and with none. */
const FORGERY = `
import { connect } from "@nats-io/transport-node";
const { NATS_URL: servers, TLS_CERT_FILE, TLS_KEY_FILE, TLS_CA_FILE: caFile } = process.env;
const tls = { certFile: TLS_CERT_FILE, keyFile: TLS_KEY_FILE, caFile };
const orders = await connect({ servers, tls, inboxPrefix: "_INBOX_orders" });
const told = Array.fromAsync(orders.status());
orders.publish("emporium.inventory.v1.StockChanged.TEA", "forged");
await orders.flush();
await orders.close();
const forbidden = (await told).filter(({ type }) => type === "error").map(({ error }) => error.message);
const unknown = await connect({ servers, tls: { caFile }, reconnect: false }).then(
  () => "let in",
  ({ message }) => message,
);
console.log(JSON.stringify({ forbidden, unknown }));
`;

interface Inspected {
  Name: string;
  HostConfig: {
    ReadonlyRootfs: boolean;
    Privileged: boolean;
    CapDrop: string[];
    SecurityOpt: string[];
    Memory: number;
  };
  Config: { User: string };
}

/** From the start of a container to the first time that it says SERVING, when it is asked again and again. */
async function millisecondsToServe(container: string): Promise<number> {
  await docker("restart", container);
  await until("it is SERVING", () =>
    docker("exec", container, "node", "/emporium/health.mjs").then(
      () => true,
      () => false,
    ),
  );
  const served = Date.now();
  return (
    served - Date.parse(await docker("inspect", "--format", "{{.State.StartedAt}}", container))
  );
}

/** How traffic.ts tells of a call that a server at its limit refused. */
const OVERLOADED = " ResourceExhausted: The server is at its limit";

/** Failures but those of calls that a server short of processor time did not let in. */
function lost(failures: string[]): string[] {
  return failures.filter((failure) => !failure.endsWith(OVERLOADED));
}

/** Calls that each replica answered between two reports. */
function sharesOf(service: string, before: Report, after: Report): number[] {
  const earlier = before.answers[service] ?? {};
  return Object.entries(after.answers[service] ?? {}).map(
    ([peer, calls]) => calls - (earlier[peer] ?? 0),
  );
}
