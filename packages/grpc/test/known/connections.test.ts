import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { createGrpcClient } from "../../src/index.js";
import { TrialService } from "../generated/trial/v1/trial_pb.js";
import { errorOf, startTrial, trialClient, type TrialHandlers } from "../trial-server.js";
import { usedHeap } from "./heap.js";
import { startProxy } from "./proxy.js";

const echo: TrialHandlers = {
  ask: ({ text }) => ({ text }),
  askAgain: ({ text }) => ({ text }),
};

/** Keepalive that notices a silent peer in the time of a test. */
const watchful = {
  channelOptions: { "grpc.keepalive_time_ms": 100, "grpc.keepalive_timeout_ms": 100 },
};

test("a client finds its server again after a restart on the same port (grpc-node #2785, #1411)", async () => {
  const first = await startTrial(echo);
  const port = Number(first.server.address.split(":")[1]);
  using client = trialClient(first.server.address);
  await client.ask({ text: "before" });
  await first[Symbol.asyncDispose]();
  expect(await errorOf(client.ask({}))).toMatchObject({ code: Code.Unavailable });
  await using second = await startTrial(echo, { listen: { host: "127.0.0.1", port } });
  expect(second.server.address).toBe(first.server.address);
  await expect
    .poll(() => client.ask({ text: "after" }).then(({ text }) => text, String), { timeout: 5000 })
    .toBe("after");
});

test("a client that waits for its server is served as soon as it is there (grpc-node #1591)", async () => {
  const first = await startTrial(echo);
  const port = Number(first.server.address.split(":")[1]);
  await first[Symbol.asyncDispose]();
  using client = trialClient(first.server.address, { waitForReady: true });
  const asked = client.ask({ text: "at last" });
  await delay(100);
  await using _second = await startTrial(echo, { listen: { host: "127.0.0.1", port } });
  expect((await asked).text).toBe("at last");
});

test("a client leaves a connection that went silent for a new one (grpc-node #2785)", async () => {
  await using trial = await startTrial(echo);
  await using proxy = await startProxy(trial.server.address);
  using client = trialClient(proxy.address, watchful);
  await client.ask({});
  proxy.swallow();
  expect(await errorOf(client.ask({}, { timeoutMs: 2000 }))).toMatchObject({
    code: Code.Unavailable,
  });
  expect((await client.ask({ text: "again" }, { timeoutMs: 2000 })).text).toBe("again");
  expect(proxy.opened).toBe(2);
});

test("a connection whose keepalive fails is destroyed, not only closed (grpc-node #2953, #3022)", async () => {
  await using trial = await startTrial(echo);
  await using proxy = await startProxy(trial.server.address);
  using client = trialClient(proxy.address, watchful);
  await client.ask({});
  proxy.swallow();
  await errorOf(client.ask({}, { timeoutMs: 2000 }));
  await client.ask({});
  await expect.poll(() => proxy.open).toBe(1);
});

test("a stream ends at the server when its caller vanishes without a word (grpc-node #2385)", async () => {
  const ended = Promise.withResolvers<unknown>();
  await using trial = await startTrial(
    {
      async *read(_, { signal }) {
        try {
          yield {};
          await once(signal, "abort");
        } finally {
          ended.resolve(signal.reason);
        }
      },
    },
    { limits: { keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 } },
  );
  await using proxy = await startProxy(trial.server.address);
  using client = trialClient(proxy.address);
  const notes = client.read({})[Symbol.asyncIterator]();
  await notes.next();
  const rest = notes.next().catch(() => {});
  proxy.swallow();
  expect(await ended.promise).toMatchObject({ code: Code.Canceled });
  await proxy[Symbol.asyncDispose]();
  await rest;
});

test("a reset connection is a retry for a call that may be repeated (grpc-node #1907)", async () => {
  let calls = 0;
  const reached = Promise.withResolvers<void>();
  await using trial = await startTrial({
    async askAgain() {
      if (++calls === 1) {
        reached.resolve();
        await new Promise(() => {});
      }
      return { text: "the second time" };
    },
  });
  await using proxy = await startProxy(trial.server.address);
  using client = trialClient(proxy.address);
  const asked = client.askAgain({});
  await reached.promise;
  proxy.reset();
  expect((await asked).text).toBe("the second time");
});

test("a reset connection is UNAVAILABLE for one that may not, never a bare ECONNRESET (grpc-node #1907)", async () => {
  let calls = 0;
  const reached = Promise.withResolvers<void>();
  await using trial = await startTrial({
    async ask() {
      calls++;
      reached.resolve();
      return new Promise(() => {});
    },
  });
  await using proxy = await startProxy(trial.server.address);
  using client = trialClient(proxy.address);
  const asked = errorOf(client.ask({}));
  await reached.promise;
  proxy.reset();
  const error = await asked;
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ code: Code.Unavailable });
  expect(calls).toBe(1);
});

test("no call fails while connections are told to go away, over and over (grpc-node #2694)", async () => {
  await using trial = await startTrial(echo, {
    limits: { maxConnectionAgeMs: 150, maxConnectionAgeGraceMs: 1000 },
  });
  await using proxy = await startProxy(trial.server.address);
  using client = trialClient(proxy.address);
  let answered = 0;
  const callers = Array.from({ length: 10 }, async () => {
    for (; proxy.opened < 5; answered++) await client.askAgain({ text: "x" });
  });
  await Promise.all(callers);
  expect(answered).toBeGreaterThan(10);
});

test("clients of one address share a connection, and leave none when closed (grpc-node #2893)", async () => {
  await using trial = await startTrial(echo);
  await using proxy = await startProxy(trial.server.address);
  const clients = Array.from({ length: 50 }, () =>
    createGrpcClient(TrialService, { address: proxy.address }),
  );
  await Promise.all(clients.map((client) => client.ask({})));
  expect(proxy.opened).toBe(1);
  for (const client of clients) client[Symbol.dispose]();
  await expect.poll(() => proxy.open).toBe(0);
});

test("known: a client that is forgotten and not closed keeps its connection (grpc-node #2893)", async () => {
  await using trial = await startTrial(echo);
  await using proxy = await startProxy(trial.server.address);
  await trialClient(proxy.address).ask({});
  usedHeap();
  await delay(100);
  expect(proxy.open).toBe(1);
});

test("both addresses of a name get calls, also after one was away (grpc-node #2667)", async () => {
  const count = { first: 0, second: 0 };
  const counting = (which: keyof typeof count): TrialHandlers => ({
    askAgain: () => ((count[which] += 1), {}),
  });
  await using first = await startTrial(counting("first"));
  const second = await startTrial(counting("second"));
  const port = Number(second.server.address.split(":")[1]);
  using client = trialClient(`ipv4:${first.server.address},${second.server.address}`);
  const ask = async () => {
    for (let i = 0; i < 10; i++) await client.askAgain({});
  };
  await expect.poll(() => ask().then(() => Math.min(count.first, count.second))).toBeGreaterThan(3);
  await second[Symbol.asyncDispose]();
  await ask();
  count.second = 0;
  await using _again = await startTrial(counting("second"), {
    listen: { host: "127.0.0.1", port },
  });
  await expect.poll(() => ask().then(() => count.second), { timeout: 5000 }).toBeGreaterThan(3);
});
