import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { docker } from "./engine.js";

/** Milliseconds until what has to happen has not happened. */
const LIMIT_MS = 120_000;

/** What traffic.ts prints. */
export interface Report {
  sent: number;
  succeeded: number;
  purchases: number;
  failures: string[];
  answers: Record<string, Record<string, number>>;
}

/** A shop that `docker compose up` has opened, under a name of its own. */
export class ComposedShop implements AsyncDisposable {
  readonly project = `emporium-test-${randomBytes(3).toString("hex")}`;

  /** Runs `docker compose …` on this shop. */
  compose(...words: string[]): Promise<string> {
    return docker("compose", "--project-name", this.project, "--profile", "scaled", ...words);
  }

  /**
   * Starts everything as a clean clone would: builds the images first, unless `EMPORIUM_VERSION` names
   * some that are there.
   */
  async open(): Promise<void> {
    // Any ports will do: nothing outside of the network calls.
    for (const service of ["INVENTORY", "ORDERS", "CHECKOUT", "ISSUER"])
      process.env[`${service}_PORT`] = "0";
    if (!process.env["EMPORIUM_VERSION"]) await this.compose("build");
    await this.compose("up", "--detach");
    await until("the shelves are full", async () => {
      const seed = await this.compose("ps", "--all", "--quiet", "seed");
      return (
        (await docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", seed)) ===
        "exited 0"
      );
    });
    for (const service of ["inventory", "orders", "checkout"])
      for (const replica of await this.replicas(service)) await this.healthy(replica);
  }

  /** Ids of the containers of a service. */
  async replicas(service: string): Promise<string[]> {
    const ids = await this.compose("ps", "--quiet", service, `${service}-more`);
    return ids.split("\n").filter(Boolean);
  }

  /** Waits until a container says that it is healthy. */
  async healthy(container: string): Promise<void> {
    await until(`${container} is healthy`, async () => {
      const status = await docker("inspect", "--format", "{{.State.Health.Status}}", container);
      return status === "healthy";
    });
  }

  /** A customer's way through the shop, from the first call to the last event; rejects where it ends. */
  journey(): Promise<string> {
    return this.compose("run", "--rm", "--no-deps", "journey");
  }

  /** Starts traffic, and waits until all replicas have answered. */
  async traffic(rate: number): Promise<Traffic> {
    const name = `${this.project}-traffic-${randomBytes(3).toString("hex")}`;
    await this.compose(
      "run",
      "--detach",
      "--no-deps",
      "--name",
      name,
      "--env",
      `RATE=${rate}`,
      "traffic",
    );
    const traffic = new Traffic(name);
    await until("every replica is called", async () => {
      const { answers = {} } = (await traffic.report()) ?? {};
      return ["InventoryService", "OrderService", "CheckoutService"].every(
        (service) => Object.keys(answers[service] ?? {}).length === 3,
      );
    });
    return traffic;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose(
      "--profile",
      "test",
      "down",
      "--volumes",
      "--remove-orphans",
      "--timeout",
      "5",
    );
  }
}

/** Calls that go on until they are stopped, or until whoever has started them is done. */
export class Traffic implements AsyncDisposable {
  constructor(private readonly container: string) {}

  /** What became of the calls so far. */
  async report(): Promise<Report | undefined> {
    const line = await docker("logs", "--tail", "1", this.container);
    return line.startsWith("{") ? (JSON.parse(line) as Report) : undefined;
  }

  /** Waits for that many more calls to succeed. */
  async goOn(calls: number): Promise<Report> {
    const from = (await this.report())?.succeeded ?? 0;
    let last: Report | undefined;
    await until(`${calls} more calls have succeeded`, async () => {
      last = await this.report();
      return (last?.succeeded ?? 0) >= from + calls;
    });
    return last!;
  }

  /** Lets the calls under way end. */
  async stop(): Promise<Report> {
    await docker("stop", "--time", "60", this.container);
    return (await this.report())!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await docker("rm", "--force", this.container);
  }
}

/** Looks until it is so. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const limit = AbortSignal.timeout(LIMIT_MS);
  while (!(await isSo())) {
    if (limit.aborted) throw new Error(`Not within ${LIMIT_MS / 1000} s: ${what}`);
    await delay(200);
  }
}
