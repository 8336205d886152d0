import { once } from "node:events";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { RetryInfoSchema } from "@emporium/contracts/google/rpc";
import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { findDetail, outliveCall, reasonOf } from "../src/index.js";
import { movableEngineClock } from "../src/testing.js";
import { errorOf, startTrial, type TrialHandlers, trialClient } from "./trial-server.js";

/** Waits for the end of a call, and gives the reason that its signal names. */
async function endOf({ signal }: HandlerContext): Promise<unknown> {
  if (!signal.aborted) await once(signal, "abort");
  return signal.reason;
}

/** At the deadline the caller also cancels; which of the two a server meets first is a race. */
function isOver(reason: unknown) {
  const over = [Code.DeadlineExceeded, Code.Canceled];
  return reason instanceof ConnectError && over.includes(reason.code);
}

async function* silence(): AsyncGenerator<{ text: string }> {
  await new Promise(() => {});
  yield { text: "" };
}

test("the caller's deadline stops the handler, of every kind", async () => {
  const reasons: unknown[] = [];
  const note = async (call: HandlerContext) => {
    reasons.push(await endOf(call));
    return {};
  };
  await using trial = await startTrial({
    ask: (_, call) => note(call),
    async *read(_, call) {
      yield note(call);
    },
    write: (_, call) => note(call),
    async *talk(_, call) {
      yield note(call);
    },
  });
  const { client } = trial;
  const options = { timeoutMs: 500 };
  const errors = await Promise.all([
    errorOf(client.ask({}, options)),
    errorOf(Array.fromAsync(client.read({}, options))),
    errorOf(client.write(silence(), options)),
    errorOf(Array.fromAsync(client.talk(silence(), options))),
  ]);
  for (const error of errors) expect(error).toMatchObject({ code: Code.DeadlineExceeded });
  await expect.poll(() => reasons.length).toBe(4);
  for (const reason of reasons) expect(reason).toSatisfy(isOver);
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("a handler knows how much time is left", async () => {
  const left: (number | undefined)[] = [];
  await using trial = await startTrial({
    ask(_, { timeoutMs }) {
      left.push(timeoutMs());
      return {};
    },
  });
  await trial.client.ask({}, { timeoutMs: 5000 });
  expect(left[0]).toBeGreaterThan(2000);
  expect(left[0]).toBeLessThanOrEqual(5050);
});

test("a caller that names no deadline has the contract's", async () => {
  const left: (number | undefined)[] = [];
  await using trial = await startTrial({
    ask(_, { timeoutMs }) {
      left.push(timeoutMs());
      return {};
    },
  });
  await trial.client.ask({});
  expect(left[0]).toBeGreaterThan(15_000);
  expect(left[0]).toBeLessThanOrEqual(20_050);
});

/** A caller from elsewhere, who knows no contract and names no deadline. */
function foreignCaller(address: string) {
  const channel = new grpc.Client(address, grpc.credentials.createInsecure());
  const bytes = (value: Buffer) => value;
  return {
    /** Status of a call that sends one empty note and keeps its side open. */
    status(method: string): Promise<grpc.StatusObject> {
      const call = channel.makeBidiStreamRequest(`/trial.v1.TrialService/${method}`, bytes, bytes);
      call.on("error", () => {}).resume();
      call.write(Buffer.alloc(0));
      if (!method.startsWith("Write") && !method.startsWith("Talk")) call.end();
      return new Promise((resolve) => call.once("status", resolve));
    },
    [Symbol.dispose]: () => channel.close(),
  };
}

const waiting: TrialHandlers = {
  askBriefly: async (_, call) => ({ text: String(await endOf(call)) }),
  async *readBriefly(_, call) {
    yield { text: "first" };
    await endOf(call);
  },
  writeBriefly: async (_, call) => ({ text: String(await endOf(call)) }),
  async *talkBriefly(_, call) {
    yield { text: "first" };
    await endOf(call);
  },
};

test.each(["AskBriefly", "WriteBriefly"])(
  "%s without a deadline is TOO_SLOW at the contract's longest time",
  async (method) => {
    const clock = movableEngineClock();
    await using trial = await startTrial(waiting, { clock });
    using caller = foreignCaller(trial.server.address);
    const ended = caller.status(method);
    await expect.poll(() => trial.server.callsInFlight).toBe(1);
    clock.advance(199);
    expect(trial.server.callsInFlight).toBe(1);
    clock.advance(1);
    expect((await ended).code).toBe(grpc.status.DEADLINE_EXCEEDED);
    expect(trial.server.callsInFlight).toBe(0);
  },
);

test.each(["ReadBriefly", "TalkBriefly"])(
  "%s without a deadline expires at the contract's longest time, to be resumed",
  async (method) => {
    const clock = movableEngineClock();
    await using trial = await startTrial(waiting, { clock });
    using caller = foreignCaller(trial.server.address);
    const ended = caller.status(method);
    await expect.poll(() => trial.server.callsInFlight).toBe(1);
    clock.advance(200);
    expect((await ended).code).toBe(grpc.status.UNAVAILABLE);
    expect(trial.server.callsInFlight).toBe(0);
  },
);

test("a stream that expires says so, by the real clock too, and after its messages", async () => {
  await using trial = await startTrial(waiting);
  const seen: string[] = [];
  const reading = async () => {
    for await (const { text } of trial.client.readBriefly({})) seen.push(text);
  };
  const error = await errorOf(reading());
  expect(seen).toEqual(["first"]);
  expect(error).toMatchObject({ code: Code.Unavailable });
  expect(reasonOf(error)).toMatchObject({ reason: "STREAM_EXPIRED", domain: "emporium.example" });
  expect(findDetail(error, RetryInfoSchema)?.retryDelay?.seconds).toBe(0n);
});

test("a caller's deadline before the contract's longest time is the caller's own", async () => {
  await using trial = await startTrial(waiting);
  const error = await errorOf(trial.client.askBriefly({}, { timeoutMs: 50 }));
  expect(error).toMatchObject({ code: Code.DeadlineExceeded });
  expect(reasonOf(error)).toBeUndefined();
});

/** Two servers: the first asks the second, in the way given, and tells what time the second had. */
async function twoHops(
  ask: (next: ReturnType<typeof trialClient>, call: HandlerContext) => Promise<unknown>,
) {
  const left = Promise.withResolvers<number>();
  const second = await startTrial({
    ask(_, { timeoutMs }) {
      left.resolve(timeoutMs() ?? Infinity);
      return {};
    },
  });
  const first = await startTrial({
    async ask(_, call) {
      await ask(second.client, call);
      return {};
    },
  });
  return {
    client: first.client,
    left: left.promise,
    async [Symbol.asyncDispose]() {
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
}

test("a call made for a call has what is left of its time, less a margin", async () => {
  await using hops = await twoHops((next) => next.ask({}));
  await hops.client.ask({}, { timeoutMs: 5000 });
  expect(await hops.left).toBeLessThan(5000);
  expect(await hops.left).toBeGreaterThan(2000);
});

test("a call made for a call cannot have more time, but less", async () => {
  await using more = await twoHops((next) => next.ask({}, { timeoutMs: 15_000 }));
  await more.client.ask({}, { timeoutMs: 5000 });
  expect(await more.left).toBeLessThan(5000);
  await using less = await twoHops((next) => next.ask({}, { timeoutMs: 2000 }));
  await less.client.ask({}, { timeoutMs: 5000 });
  expect(await less.left).toBeLessThanOrEqual(2050);
});

test("work that must outlive the call has time of its own", async () => {
  await using hops = await twoHops((next) => outliveCall(() => next.ask({})));
  await hops.client.ask({}, { timeoutMs: 5000 });
  expect(await hops.left).toBeGreaterThan(10_000);
});

test("a call made for a call whose time is over is not sent", async () => {
  const outcome = Promise.withResolvers<unknown>();
  let reached = false;
  await using second = await startTrial({
    ask() {
      reached = true;
      return {};
    },
  });
  await using first = await startTrial({
    async ask(_, call) {
      await endOf(call);
      outcome.resolve(await errorOf(second.client.ask({})));
      return {};
    },
  });
  await errorOf(first.client.ask({}, { timeoutMs: 300 }));
  const error = await outcome.promise;
  expect(error).toSatisfy(isOver);
  expect(reached).toBe(false);
});
