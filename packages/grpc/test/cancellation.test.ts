import { EventEmitter, getEventListeners, once } from "node:events";
import { connect } from "node:http2";
import { Code, type HandlerContext } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { outliveCall } from "../src/index.js";
import type { Note } from "./generated/trial/v1/trial_pb.js";
import { errorOf, startTrial } from "./trial-server.js";

async function* endless() {
  for (let number = 1n; ; number++) yield { number };
}

/** A stream that yields once, waits for the end of the call, and tells when its `finally` ran. */
function watched() {
  const events = new EventEmitter();
  async function* read(_: Note, { signal }: HandlerContext) {
    try {
      yield { text: "first" };
      if (!signal.aborted) await once(signal, "abort");
    } finally {
      events.emit("finally", signal.reason);
    }
  }
  return { read, ended: once(events, "finally").then(([reason]: unknown[]) => reason) };
}

test("leaving the loop ends a server stream, and its finally runs", async () => {
  const { read, ended } = watched();
  await using trial = await startTrial({ read });
  for await (const { text } of trial.client.read({})) {
    expect(text).toBe("first");
    break;
  }
  expect(await ended).toMatchObject({ code: Code.Canceled });
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("leaving the loop ends a generator that never looks at its signal", async () => {
  const ended = Promise.withResolvers<void>();
  await using trial = await startTrial({
    async *read() {
      try {
        yield* endless();
      } finally {
        ended.resolve();
      }
    },
  });
  for await (const _ of trial.client.read({})) break;
  await ended.promise;
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("the caller's signal ends a stream, with the caller's reason on its side", async () => {
  const { read, ended } = watched();
  await using trial = await startTrial({ read });
  const caller = new AbortController();
  const reading = errorOf(
    (async () => {
      for await (const _ of trial.client.read({}, { signal: caller.signal }))
        caller.abort(new Error("seen enough"));
    })(),
  );
  expect(await reading).toMatchObject({ code: Code.Canceled, cause: { message: "seen enough" } });
  expect(await ended).toMatchObject({ code: Code.Canceled });
});

test("a timeout signal of the caller is a deadline", async () => {
  await using trial = await startTrial({ ask: () => new Promise(() => {}) });
  const error = await errorOf(trial.client.ask({}, { signal: AbortSignal.timeout(50) }));
  expect(error).toMatchObject({ code: Code.DeadlineExceeded });
});

test("a caller whose connection breaks ends its streams", async () => {
  const { read, ended } = watched();
  await using trial = await startTrial({ read });
  const session = connect(`http://${trial.server.address}`).on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/trial.v1.TrialService/Read",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {}).end(Buffer.alloc(5));
  await once(stream, "data");
  session.socket.destroy();
  expect(await ended).toMatchObject({ code: Code.Canceled });
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("a call whose signal is aborted already is not sent", async () => {
  let reached = 0;
  await using trial = await startTrial({
    ask: () => ({ number: BigInt(++reached) }),
    read: () => ((reached += 1), endless()),
  });
  const signal = AbortSignal.abort(new Error("never mind"));
  const refused = { code: Code.Canceled, cause: { message: "never mind" } };
  expect(await errorOf(trial.client.ask({}, { signal }))).toMatchObject(refused);
  expect(await errorOf(Array.fromAsync(trial.client.read({}, { signal })))).toMatchObject(refused);
  await trial.client.ask({});
  expect(reached).toBe(1);
});

test.each(["cancelled", "disconnected"])(
  "an upload whose caller is %s does not look complete to its handler",
  async (how) => {
    const outcome = Promise.withResolvers<string>();
    const started = Promise.withResolvers<void>();
    await using trial = await startTrial({
      async write(notes) {
        try {
          for await (const _ of notes) started.resolve();
          outcome.resolve("complete");
        } catch {
          outcome.resolve("cut off");
        }
        return {};
      },
    });
    const session = connect(`http://${trial.server.address}`).on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": "/trial.v1.TrialService/Write",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {}).write(Buffer.alloc(5));
    await started.promise;
    if (how === "cancelled") stream.close(8);
    else session.socket.destroy();
    expect(await outcome.promise).toBe("cut off");
    await expect.poll(() => trial.server.callsInFlight).toBe(0);
    session.destroy();
  },
);

test("cancelling a conversation stops both sides", async () => {
  const said = Promise.withResolvers<void>();
  const handlerDone = Promise.withResolvers<void>();
  await using trial = await startTrial({
    async *talk(notes) {
      try {
        for await (const { number } of notes) yield { number };
      } finally {
        handlerDone.resolve();
      }
    },
  });
  async function* questions() {
    try {
      yield* endless();
    } finally {
      said.resolve();
    }
  }
  for await (const { number } of trial.client.talk(questions())) if (number === 10n) break;
  await said.promise;
  await handlerDone.promise;
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("an error of the caller's own messages ends the call and reaches the caller", async () => {
  const own = new Error("out of ink");
  await using trial = await startTrial({
    async write(notes) {
      await Array.fromAsync(notes);
      return {};
    },
    async *talk(notes) {
      for await (const { text } of notes) yield { text };
    },
  });
  async function* notes() {
    yield { text: "one" };
    throw own;
  }
  expect(await errorOf(trial.client.write(notes()))).toBe(own);
  expect(await errorOf(Array.fromAsync(trial.client.talk(notes())))).toBe(own);
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("1,000 calls of each kind leave no listener on the caller's signal", async () => {
  await using trial = await startTrial({
    ask: () => ({}),
    async *read() {
      yield {};
      yield {};
    },
  });
  const { signal } = new AbortController();
  for (let i = 0; i < 20; i++)
    await Promise.all(Array.from({ length: 50 }, () => trial.client.ask({}, { signal })));
  for (let i = 0; i < 20; i++)
    await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        for await (const _ of trial.client.read({}, { signal })) if (at % 2 === 0) break;
      }),
    );
  await expect.poll(() => getEventListeners(signal, "abort").length).toBe(0);
});

test("calls made for a call leave no listener on its signal", async () => {
  await using second = await startTrial({ ask: () => ({}) });
  let listeners = Infinity;
  await using first = await startTrial({
    async ask(_, { signal }) {
      for (let i = 0; i < 100; i++) await second.client.ask({});
      listeners = getEventListeners(signal, "abort").length;
      return {};
    },
  });
  await first.client.ask({});
  expect(listeners).toBe(0);
});

test("calls made for a call end with it, unless they outlive it on purpose", async () => {
  const reached: string[] = [];
  const cancelled: string[] = [];
  await using second = await startTrial({
    async ask({ text }, { signal }) {
      reached.push(text);
      await once(signal, "abort");
      cancelled.push(text);
      return {};
    },
  });
  const bound = Promise.withResolvers<unknown>();
  const caller = new AbortController();
  const own = new AbortController();
  await using first = await startTrial({
    async ask() {
      bound.resolve(errorOf(second.client.ask({ text: "bound" })));
      void outliveCall(() =>
        second.client.ask({ text: "on its own" }, { signal: own.signal }),
      ).catch(() => {});
      return new Promise(() => {});
    },
  });
  const asked = errorOf(first.client.ask({}, { signal: caller.signal }));
  await expect.poll(() => reached.length).toBe(2);
  caller.abort();
  expect(await asked).toMatchObject({ code: Code.Canceled });
  expect(await bound.promise).toMatchObject({ code: Code.Canceled });
  await expect.poll(() => cancelled).toEqual(["bound"]);
  own.abort();
  await expect.poll(() => cancelled).toEqual(["bound", "on its own"]);
});

test("a call made for a call is cancelled by its own signal, which ends nothing else", async () => {
  const own = new AbortController();
  const reached = Promise.withResolvers<void>();
  await using second = await startTrial({
    ask() {
      reached.resolve();
      return new Promise(() => {});
    },
  });
  await using first = await startTrial({
    async ask(_, { signal }) {
      const error = await errorOf(second.client.ask({}, { signal: own.signal }));
      return { text: `${(error as { code: Code }).code}, ${signal.aborted}` };
    },
  });
  const asked = first.client.ask({});
  await reached.promise;
  own.abort();
  expect((await asked).text).toBe(`${Code.Canceled}, false`);
});
