import { Code } from "@connectrpc/connect";
import { RetryInfoSchema } from "@emporium/contracts/google/rpc";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { expect, test } from "vitest";
import { createGrpcClient, findDetail, reasonOf } from "../src/index.js";
import { startTrial, type TrialHandlers } from "./trial-server.js";

/** A server in the middle of a call of each kind, and what happens to them, in order. */
async function busy(limits: { maxCallsInFlight?: number } = {}) {
  const happened: string[] = [];
  const gate = Promise.withResolvers<void>();
  const handlers: TrialHandlers = {
    async ask() {
      await gate.promise;
      return { text: "answered" };
    },
    async *read() {
      yield {};
      await new Promise(() => {});
    },
    async write(notes) {
      let number = 0n;
      for await (const _ of notes) number++;
      return { number };
    },
    async *talk(notes) {
      for await (const note of notes) yield note;
    },
  };
  const shedding = { maxEventLoopDelayMs: Infinity, ...limits };
  const trial = await startTrial(handlers, { graceMs: 20_000, shedding });
  const health = createGrpcClient(Health, { address: trial.server.address });
  const states = health.watch({})[Symbol.asyncIterator]();
  await expect.poll(async () => (await health.check({})).status).toBe(Status.SERVING);
  for (let state; state !== Status.SERVING;) state = (await states.next()).value?.status;
  const more = Promise.withResolvers<void>();
  async function* upload() {
    yield {};
    await more.promise;
    yield {};
  }
  async function* talking() {
    yield {};
    await new Promise(() => {});
  }
  const reading = trial.client.read({})[Symbol.asyncIterator]();
  const conversation = trial.client.talk(talking())[Symbol.asyncIterator]();
  const note = (what: string) => (error: unknown) => {
    const retry = findDetail(error, RetryInfoSchema)?.retryDelay?.seconds;
    happened.push(`${what}: ${reasonOf(error)?.reason}, again in ${retry} s`);
  };
  const calls = [
    trial.client.ask({}).then(({ text }) => happened.push(`unary: ${text}`)),
    trial.client.write(upload()).then(({ number }) => happened.push(`upload: ${number}`)),
    reading
      .next()
      .then(() => reading.next())
      .catch(note("stream")),
    conversation
      .next()
      .then(() => conversation.next())
      .catch(note("conversation")),
    states
      .next()
      .then(({ value }) => happened.push(`health: ${Status[value?.status ?? 0]}`))
      .then(() => states.next())
      .catch(note("watched health")),
  ];
  await expect.poll(() => trial.server.callsInFlight).toBe(5);
  return { trial, happened, calls, finish: () => (gate.resolve(), more.resolve()), health };
}

test("a drain says so first, then ends streams, and lets answers and uploads finish", async () => {
  const { trial, happened, calls, finish, health } = await busy();
  const closed = trial.server.close().then(() => happened.push("closed"));
  await expect.poll(() => happened.length).toBe(4);
  expect(happened[0]).toBe("health: NOT_SERVING");
  expect(happened.slice(1).sort()).toEqual([
    "conversation: SHUTTING_DOWN, again in 0 s",
    "stream: SHUTTING_DOWN, again in 0 s",
    "watched health: SHUTTING_DOWN, again in 0 s",
  ]);
  // The connection was told to go away, and there is no other to be had.
  await expect(trial.client.ask({}, { timeoutMs: 2000 })).rejects.toMatchObject({
    code: Code.Unavailable,
  });
  finish();
  await closed;
  await Promise.all(calls);
  expect(happened.slice(4).sort()).toEqual(["closed", "unary: answered", "upload: 2"]);
  health[Symbol.dispose]();
  await trial[Symbol.asyncDispose]();
});

test("a server at its limit drains all the same, and is asked for its health until then", async () => {
  const { trial, happened, calls, finish, health } = await busy({ maxCallsInFlight: 5 });
  await expect(trial.client.ask({})).rejects.toMatchObject({ code: Code.ResourceExhausted });
  expect((await health.check({})).status).toBe(Status.SERVING);
  const closed = trial.server.close();
  await expect.poll(() => happened.length).toBe(4);
  expect(happened[0]).toBe("health: NOT_SERVING");
  finish();
  await closed;
  await Promise.all(calls);
  health[Symbol.dispose]();
  await trial[Symbol.asyncDispose]();
});
