import dns from "node:dns";
import { platform } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, onTestFinished, test, vi } from "vitest";
import { type BalancingOptions, type LoadBalancing, loadReports } from "../src/index.js";
import { type Answer, startReplica, startReplicas } from "./replicas.js";
import { errorOf, trialClient } from "./trial-server.js";

const echo: Answer = ({ text }) => ({ text });

/** Milliseconds that a slow machine may take for what usually takes one or two thousand. */
const LONG = 30_000;

type Client = ReturnType<typeof trialClient>;

function clientOf({ address }: { address: string }, options: BalancingOptions = {}): Client {
  const client = trialClient(address, { ...options, waitForReady: true });
  onTestFinished(() => client[Symbol.dispose]());
  return client;
}

async function ask(client: Client, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await client.ask({});
}

/** Resolves when every replica has been reached. */
async function warm(client: Client, counts: () => number[]): Promise<void> {
  const seen = new Set<number>();
  await expect
    .poll(
      async () => {
        await client.ask({}).catch(() => {});
        for (const [i, calls] of counts().entries()) if (calls > 0) seen.add(i);
        return seen.size;
      },
      { timeout: LONG, interval: 10 },
    )
    .toBe(counts().length);
}

test("each replica gets its share, in turn", async () => {
  await using replicas = await startReplicas([echo, echo, echo]);
  const client = clientOf(replicas);
  await warm(client, replicas.counts);
  await ask(client, 30);
  expect(replicas.counts()).toEqual([10, 10, 10]);
});

test("the first replica gets everything where that is asked for", async () => {
  await using replicas = await startReplicas([echo, echo, echo]);
  const client = clientOf(replicas, { loadBalancing: { policy: "pick_first" } });
  await ask(client, 30);
  expect(replicas.counts().sort((a, b) => a - b)).toEqual([0, 0, 30]);
});

test("the replica with the fewest calls under way gets the next", async () => {
  const stuck: Answer = () => new Promise(() => {});
  await using replicas = await startReplicas([stuck, echo, echo]);
  const loadBalancing: LoadBalancing = { policy: "least_request", choices: 4 };
  const client = clientOf(replicas, { loadBalancing });
  const reached = () => replicas.all.map(({ calls }) => calls);
  await expect
    .poll(
      async () => {
        await Promise.race([client.ask({}).catch(() => {}), delay(20)]);
        return Math.min(...reached());
      },
      { timeout: LONG, interval: 10 },
    )
    .toBeGreaterThan(0);
  const before = reached()[0]!;
  for (let i = 0; i < 60; i++) await Promise.race([client.ask({}).catch(() => {}), delay(20)]);
  // By turns it would be 20.
  expect(reached()[0]! - before).toBeLessThan(8);
});

test("a replica that reports that it can take more gets more", { timeout: 2 * LONG }, async () => {
  /** Utilisation of a replica that can take so many calls a second. */
  const capacity = (callsPerSecond: number) => {
    let since = performance.now();
    let calls = 0;
    const utilization = () => {
      const rate = (calls * 1000) / (performance.now() - since);
      since = performance.now();
      calls = 0;
      return rate / callsPerSecond;
    };
    const answer: Answer = (note) => {
      calls++;
      return note;
    };
    return { answer, options: { interceptors: [loadReports({ utilization })] } };
  };
  const strong = capacity(100_000);
  const weak = capacity(20_000);
  await using first = await startReplicas([strong.answer], strong.options);
  await using second = await startReplicas([weak.answer, weak.answer], weak.options);
  const both = [...first.all, ...second.all];
  const client = clientOf(
    { address: `ipv4:${both.map(({ address }) => address).join(",")}` },
    { loadBalancing: { policy: "weighted_round_robin", blackoutMs: 0 } },
  );
  await expect
    .poll(
      async () => {
        await ask(client, 200);
        const [most] = first.counts();
        return most! / Math.max(...second.counts());
      },
      { timeout: LONG, interval: 1 },
    )
    .toBeGreaterThan(2.5);
});

const hasty: BalancingOptions = {
  outlierDetection: { intervalMs: 200, ejectionMs: 400, minCalls: 5 },
};

test("a replica that fails is left out, and comes back when it has had its time", async () => {
  let broken = true;
  const sometimes: Answer = (note) => {
    if (broken) throw new Error("broken");
    return note;
  };
  await using replicas = await startReplicas([sometimes, echo, echo]);
  const client = clientOf(replicas, hasty);
  await warm(client, replicas.counts);
  const attempt = () =>
    Promise.all(Array.from({ length: 30 }, () => client.ask({}).catch(() => {})));
  await expect
    .poll(async () => (await attempt(), replicas.counts()[0]), { timeout: LONG, interval: 20 })
    .toBe(0);
  broken = false;
  await expect
    .poll(async () => (await attempt(), replicas.counts()[0]), { timeout: LONG, interval: 20 })
    .toBe(10);
});

test("a replica that is asked for what does not exist is not to blame", async () => {
  const nothing: Answer = () => {
    throw new ConnectError("No such note", Code.NotFound);
  };
  await using replicas = await startReplicas([nothing, echo, echo]);
  const client = clientOf(replicas, hasty);
  await warm(client, replicas.counts);
  for (let i = 0; i < 10; i++) {
    await Promise.all(Array.from({ length: 30 }, () => client.ask({}).catch(() => {})));
    expect(replicas.counts()).toEqual([10, 10, 10]);
    await delay(100);
  }
});

test("of two replicas that fail one is kept", async () => {
  const broken: Answer = () => {
    throw new Error("broken");
  };
  await using replicas = await startReplicas([broken, broken]);
  const client = clientOf(replicas, hasty);
  await warm(client, replicas.counts);
  const attempt = () =>
    Promise.all(Array.from({ length: 20 }, () => client.ask({}).catch(() => {})));
  await expect
    .poll(async () => (await attempt(), Math.min(...replicas.counts())), { timeout: LONG })
    .toBe(0);
  await attempt();
  expect(Math.max(...replicas.counts())).toBe(20);
});

test("a client survives that all replicas are gone, and finds them when they are back", async () => {
  await using replicas = await startReplicas([echo, echo]);
  const client = clientOf(replicas);
  await warm(client, replicas.counts);
  await Promise.all(replicas.all.map((replica) => replica.stop()));
  const impatient = trialClient(replicas.address);
  onTestFinished(() => impatient[Symbol.dispose]());
  expect(await errorOf(impatient.ask({}))).toMatchObject({ code: Code.Unavailable });
  const waiting = client.ask({ text: "patient" });
  await Promise.all(replicas.all.map((replica) => replica.start()));
  expect((await waiting).text).toBe("patient");
  replicas.counts();
  await warm(client, replicas.counts);
  await expect
    .poll(
      () =>
        impatient.ask({}).then(
          () => "there",
          () => "away",
        ),
      { timeout: LONG },
    )
    .toBe("there");
});

test("no call fails while a replica goes, and it gets its share again when it is back", async () => {
  await using replicas = await startReplicas([echo, echo, echo]);
  const client = clientOf(replicas);
  await warm(client, replicas.counts);
  const enough = new AbortController();
  const calls = (async () => {
    for (; !enough.signal.aborted; await delay(1)) await client.askAgain({});
  })();
  await replicas.all[0]!.stop();
  replicas.counts();
  await expect.poll(() => replicas.all[1]!.calls, { timeout: LONG }).toBeGreaterThan(20);
  expect(replicas.all[0]!.calls).toBe(0);
  await replicas.all[0]!.start();
  await expect.poll(() => replicas.all[0]!.calls, { timeout: LONG }).toBeGreaterThan(20);
  enough.abort();
  await calls;
});

test("connections that have reached their age are renewed, and no call fails", async () => {
  const limits = { maxConnectionAgeMs: 200, maxConnectionAgeGraceMs: 2000 };
  const peers = new Set<string>();
  const note: Answer = (_, call) => {
    peers.add((call as { peer?: string }).peer!);
    return {};
  };
  await using replicas = await startReplicas([note, note], { limits });
  const client = clientOf(replicas);
  const until = Date.now() + LONG;
  while (peers.size < 8 && Date.now() < until) {
    // Refused by both replicas at once, a call is sent no third time unless it may be repeated (gRFC A6).
    await client.askAgain({});
    await delay(5);
  }
  expect(peers.size).toBeGreaterThanOrEqual(8);
});

// Only Linux has all of 127.0.0.0/8 without being told.
test.skipIf(platform() !== "linux")(
  "a replica that the name gets is found while no connection breaks, one that it loses is left",
  async () => {
    const first = await startReplica(echo);
    const port = Number(first.address.split(":")[1]);
    const second = await startReplica(echo, { listen: { host: "127.0.0.2", port } });
    onTestFinished(async () => void (await Promise.all([first.stop(), second.stop()])));
    let addresses = ["127.0.0.1"];
    const lookup = vi.spyOn(dns.promises, "lookup") as unknown as {
      mockImplementation(answer: () => Promise<dns.LookupAddress[]>): void;
      mockRestore(): void;
    };
    lookup.mockImplementation(async () => addresses.map((address) => ({ address, family: 4 })));
    onTestFinished(() => lookup.mockRestore());
    const client = clientOf({ address: `dns:///trial.test:${port}` }, { resolveEveryMs: 200 });
    await ask(client, 10);
    expect([first.calls, second.calls]).toEqual([10, 0]);
    addresses = ["127.0.0.1", "127.0.0.2"];
    await expect
      .poll(async () => (await ask(client, 2), second.calls), { timeout: LONG })
      .toBeGreaterThan(5);
    addresses = ["127.0.0.2"];
    await expect
      .poll(
        async () => {
          const before = first.calls;
          await ask(client, 5);
          return first.calls - before;
        },
        { timeout: LONG },
      )
      .toBe(0);
  },
);
