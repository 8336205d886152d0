import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { docker, findEngine } from "./engine.js";
import { ComposedShop, type Report, until } from "./shop.js";

const engine = await findEngine();
if (typeof engine === "string") console.log(`SKIPPED, nothing was run in containers: ${engine}`);

const root = join(import.meta.dirname, "../../..");
const services = ["inventory", "orders", "checkout"];

/** Calls a second: what three replicas of each service serve on two cores that others use as well. */
const RATE = 20;

const FULL = Boolean(process.env["FULL"]);

/** Milliseconds that NATS is away. */
const AWAY_MS = FULL ? 60_000 : 15_000;

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

  test.skipIf(process.env["EMPORIUM_VERSION"])(
    "an image that is built again, elsewhere and later, is the same",
    async () => {
      await using place = await anotherCheckout();
      await docker("compose", "--file", place.composeFile, "build", "--no-cache", ...place.built);
      for (const image of place.built)
        expect(await layers(`emporium/${image}:again`)).toEqual(
          await layers(`emporium/${image}:local`),
        );
    },
    900_000,
  );

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
    const idle = await usage(shop);
    await using traffic = await shop.traffic(RATE);
    const before = await traffic.goOn(1);
    const start = await usage(shop);
    const after = await traffic.goOn(450);
    const end = await usage(shop);
    await traffic.stop();
    const calls = after.sent - before.sent;
    for (const service of services) {
      const cpuMs = end[service]!.cpuMs - start[service]!.cpuMs;
      console.log(
        `${service}: resident ${idle[service]!.residentMb} MB idle, ${end[service]!.residentMb} MB ` +
          `under load, at most ${end[service]!.peakMb} MB; CPU ${(cpuMs / calls).toFixed(2)} ms a call of the mix`,
      );
    }
    for (const service of ["InventoryService", "OrderService"]) {
      const shares = sharesOf(service, before, after);
      const even = shares.reduce((sum, share) => sum + share, 0) / 3;
      console.log(`${service}: ${shares.join(", ")} calls`);
      for (const share of shares) expect(Math.abs(share - even)).toBeLessThan(even / 10);
    }
  });

  test.for(services)("a replica of %s is killed, and no call is lost", async (service) => {
    await using traffic = await shop.traffic(RATE);
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

  test.for(services)("every process of %s is replaced, and no call is lost", async (service) => {
    await using traffic = await shop.traffic(RATE);
    for (const replica of await shop.replicas(service)) {
      await docker("stop", replica);
      const exit = await docker("inspect", "--format", "{{.State.ExitCode}}", replica);
      // It has drained and ended by itself, and was not killed.
      expect(exit).toBe("0");
      await docker("start", replica);
      await shop.healthy(replica);
      await traffic.goOn(60);
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
    await using traffic = await shop.traffic(RATE);
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

/** The tree in another folder, with other dates and modes, and images of it under another tag. */
async function anotherCheckout() {
  await using parts = new AsyncDisposableStack();
  const place = await mkdtemp(join(tmpdir(), "emporium-again-"));
  parts.defer(() => rm(place, { recursive: true }));
  const ignored = new Set(["node_modules", "dist", ".git", ".nx", ".emporium"]);
  await cp(root, place, { recursive: true, filter: (file) => !ignored.has(basename(file)) });
  await promisify(execFile)("chmod", ["--recursive", "go-rwx", place]);
  process.env["EMPORIUM_VERSION"] = "again";
  parts.defer(() => void delete process.env["EMPORIUM_VERSION"]);
  const built = FULL ? ["orders", "setup"] : ["orders"];
  parts.defer(async () => {
    await docker("image", "rm", "--force", ...built.map((name) => `emporium/${name}:again`));
  });
  const owned = parts.move();
  return {
    composeFile: join(place, "compose.yaml"),
    built,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Digests of what an image is made of. */
async function layers(image: string): Promise<string[]> {
  const layers = await docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image);
  return JSON.parse(layers) as string[];
}

interface Usage {
  residentMb: number;
  /** The most that was ever resident. */
  peakMb: number;
  /** Since the start. */
  cpuMs: number;
}

/** What process 1 of each service uses: the mean of its replicas' memory, the sum of their time. */
async function usage(shop: ComposedShop): Promise<Record<string, Usage>> {
  const found: Record<string, Usage> = {};
  for (const service of services) {
    const replicas = await Promise.all(
      (await shop.replicas(service)).map((replica) =>
        docker("exec", replica, "cat", "/proc/1/status", "/proc/1/stat"),
      ),
    );
    const sum = (value: (said: string) => number) =>
      replicas.reduce((total, said) => total + value(said), 0);
    const mean = (name: string) =>
      Math.round(
        sum((said) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(said)![1])) /
          replicas.length /
          1_000,
      );
    found[service] = {
      residentMb: mean("VmRSS"),
      peakMb: mean("VmHWM"),
      // proc(5): utime and stime, the 12th and 13th value after the name, in hundredths of a second.
      cpuMs: sum((said) => {
        const values = said.slice(said.lastIndexOf(")") + 2).split(" ");
        return (Number(values[11]) + Number(values[12])) * 10;
      }),
    };
  }
  return found;
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
