import { Code } from "@connectrpc/connect";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { expect, test } from "vitest";
import { createGrpcClient } from "../src/index.js";
import { handlers, startTestServer, type TestServerOptions } from "../src/testing.js";
import { AgingService, TrialService } from "./generated/trial/v1/trial_pb.js";
import { errorOf, patient } from "./trial-server.js";

/** A server of the test contract, with a client of its health, and one dependency that can go. */
async function startWithDependency(options: TestServerOptions = {}) {
  const dependency = { there: true };
  const check = async () => {
    if (!dependency.there) throw new Error("away");
  };
  const started = await startTestServer(
    {
      dependencies: { database: check },
      healthIntervalMs: 20,
      graceMs: 1000,
      shedding: patient,
      ...options,
    },
    handlers(TrialService, { ask: () => ({}) }),
  );
  const health = started.client(HealthService);
  return {
    dependency,
    health,
    server: started.server,
    status: async (service = "") => (await health.check({ service })).status,
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

test("a server without dependencies serves from the start", async () => {
  await using trial = await startWithDependency({ dependencies: {} });
  expect(await trial.status()).toBe(Status.SERVING);
  expect(await trial.status("trial.v1.TrialService")).toBe(Status.SERVING);
});

test("a server serves while its dependencies are there, and names those that are not", async () => {
  await using trial = await startWithDependency();
  await expect.poll(() => trial.status()).toBe(Status.SERVING);
  trial.dependency.there = false;
  await expect.poll(() => trial.status()).toBe(Status.NOT_SERVING);
  expect(await trial.status("trial.v1.TrialService")).toBe(Status.NOT_SERVING);
  expect(trial.server.health.missing).toEqual(["database"]);
  trial.dependency.there = true;
  await expect.poll(() => trial.status()).toBe(Status.SERVING);
  expect(trial.server.health.missing).toEqual([]);
});

test("a dependency that only some services need takes down only those, and watchers hear of it", async () => {
  const there = { database: true, mail: true };
  const check = (name: keyof typeof there) => async () => {
    if (!there[name]) throw new Error("away");
  };
  const started = await startTestServer(
    {
      dependencies: {
        database: { check: check("database"), neededBy: [TrialService] },
        mail: { check: check("mail"), neededBy: [] },
      },
      healthIntervalMs: 20,
      shedding: patient,
    },
    handlers(TrialService, { ask: () => ({}) }),
    handlers(AgingService, { askNew: () => ({}) }),
  );
  await using _ = started;
  const health = started.client(HealthService);
  const all = async () => {
    const { statuses } = await health.list({});
    return ["", TrialService.typeName, AgingService.typeName].map(
      (name) => Status[statuses[name]!.status],
    );
  };
  await expect.poll(all).toEqual(["SERVING", "SERVING", "SERVING"]);
  const seen: Status[] = [];
  const watching = (async () => {
    for await (const { status } of health.watch({ service: TrialService.typeName }))
      seen.push(status);
  })().catch(() => {});
  await expect.poll(() => seen).toEqual([Status.SERVING]);
  there.mail = false;
  await expect.poll(() => started.server.health.missing).toEqual(["mail"]);
  expect(await all()).toEqual(["SERVING", "SERVING", "SERVING"]);
  there.database = false;
  await expect.poll(all).toEqual(["NOT_SERVING", "NOT_SERVING", "SERVING"]);
  await expect.poll(() => seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
  there.database = there.mail = true;
  await expect.poll(all).toEqual(["SERVING", "SERVING", "SERVING"]);
  await expect.poll(() => seen).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING]);
  await started.server.close();
  await watching;
});

test("a dependency that does not answer is away", async () => {
  await using trial = await startWithDependency({
    dependencies: { silent: () => new Promise(() => {}) },
  });
  await expect.poll(() => trial.server.health.missing, { timeout: 3000 }).toEqual(["silent"]);
  expect(await trial.status()).toBe(Status.NOT_SERVING);
});

test("the process is alive also when its dependencies are away", async () => {
  await using trial = await startWithDependency();
  trial.dependency.there = false;
  await expect.poll(() => trial.status()).toBe(Status.NOT_SERVING);
  expect(await trial.status("liveness")).toBe(Status.SERVING);
});

test("a service that is not here is NOT_FOUND to those who check", async () => {
  await using trial = await startWithDependency();
  expect(await errorOf(trial.status("no.such.Service"))).toMatchObject({ code: Code.NotFound });
});

test("a service that is not here is SERVICE_UNKNOWN to those who watch, and the stream stays", async () => {
  await using trial = await startWithDependency();
  const seen: Status[] = [];
  const watching = (async () => {
    for await (const { status } of trial.health.watch({ service: "no.such.Service" }))
      seen.push(status);
  })().catch(() => {});
  await expect.poll(() => seen).toEqual([Status.SERVICE_UNKNOWN]);
  expect(trial.server.callsInFlight).toBe(1);
  await trial.server.close();
  await watching;
});

test("a watcher is told now, and of every change, until the server goes", async () => {
  await using trial = await startWithDependency();
  await expect.poll(() => trial.status()).toBe(Status.SERVING);
  const seen: Status[] = [];
  const watching = errorOf(
    (async () => {
      for await (const { status } of trial.health.watch({})) seen.push(status);
    })(),
  );
  await expect.poll(() => seen).toEqual([Status.SERVING]);
  trial.dependency.there = false;
  await expect.poll(() => seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
  trial.dependency.there = true;
  await expect.poll(() => seen.length).toBe(3);
  await trial.server.close();
  expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]);
  expect(await watching).toMatchObject({ code: Code.Unavailable });
});

test("the list names every service of the process", async () => {
  await using trial = await startWithDependency({ dependencies: {} });
  const { statuses } = await trial.health.list({});
  expect(Object.keys(statuses)).toEqual(
    expect.arrayContaining(["", "liveness", "trial.v1.TrialService"]),
  );
  for (const { status } of Object.values(statuses)) expect(status).toBe(Status.SERVING);
});

test("health answers while other calls are shed, and is not counted among them", async () => {
  await using trial = await startWithDependency({
    dependencies: {},
    shedding: { maxCallsInFlight: 0 },
  });
  expect(await trial.status()).toBe(Status.SERVING);
});

test("health is not intercepted", async () => {
  await using trial = await startWithDependency({
    dependencies: {},
    interceptors: [
      () => () => {
        throw new Error("closed");
      },
    ],
  });
  expect(await trial.status()).toBe(Status.SERVING);
});

test("a drain waits for calls under way, refuses new connections, and ends in its grace time", async () => {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const started = await startTestServer(
    { graceMs: 5000, shedding: patient },
    handlers(TrialService, {
      async ask() {
        reached.resolve();
        await gate.promise;
        return { text: "done" };
      },
    }),
  );
  const asked = started.client(TrialService).ask({});
  await reached.promise;
  const closed = started.server.close();
  using late = createGrpcClient(TrialService, {
    address: started.address,
    channelOptions: { "grpc.use_local_subchannel_pool": 1 },
  });
  expect(await errorOf(late.ask({}, { timeoutMs: 500 }))).toMatchObject({ code: Code.Unavailable });
  gate.resolve();
  expect((await asked).text).toBe("done");
  await closed;
  await started[Symbol.asyncDispose]();
});

test("a call that outstays the grace time is ended", async () => {
  const reached = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const started = await startTestServer(
    { graceMs: 100, shedding: patient },
    handlers(TrialService, {
      ask(_, { signal }) {
        signal.addEventListener("abort", () => aborted.resolve());
        reached.resolve();
        return new Promise(() => {});
      },
    }),
  );
  const asked = errorOf(started.client(TrialService).ask({}));
  await reached.promise;
  await started.server.close();
  await aborted.promise;
  expect(await asked).toMatchObject({ code: Code.Unavailable });
  await started[Symbol.asyncDispose]();
});
