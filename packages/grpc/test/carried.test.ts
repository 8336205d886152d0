import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { currentCall, type Interceptor, outliveCall } from "../src/index.js";
import { errorOf, startTrial } from "./trial-server.js";

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Two servers: what the second sees of the first's caller. */
async function chain(
  wrap: <T>(work: () => T) => T = (work) => work(),
  interceptors: Interceptor[] = [],
) {
  const last = await startTrial(
    {
      ask: (_, { requestHeader }) => ({
        text: ["authorization", "traceparent", "x-other"]
          .map((name) => requestHeader.get(name) ?? "-")
          .join(" "),
      }),
    },
    {},
    { interceptors },
  );
  const first = await startTrial({
    async ask({ number }) {
      await delay(Number(number));
      return wrap(() => last.client.ask({}));
    },
  });
  return {
    ...first,
    async [Symbol.asyncDispose]() {
      await first[Symbol.asyncDispose]();
      await last[Symbol.asyncDispose]();
    },
  };
}

test("the caller's token and trace go along with the calls made for it, and nothing else", async () => {
  await using trial = await chain();
  const headers = { authorization: "Bearer ada", traceparent: TRACE, "x-other": "private" };
  expect((await trial.client.ask({}, { headers })).text).toBe(`Bearer ada ${TRACE} -`);
});

test("calls at the same time keep their own callers", async () => {
  await using trial = await chain();
  const names = Array.from({ length: 20 }, (_, i) => `Bearer ${i}`);
  const seen = await Promise.all(
    names.map((authorization, i) =>
      trial.client.ask({ number: BigInt((i * 7) % 20) }, { headers: { authorization } }),
    ),
  );
  expect(seen.map(({ text }) => text)).toEqual(names.map((name) => `${name} - -`));
});

test("work that outlives the call still acts for its caller, in the same trace", async () => {
  await using trial = await chain(outliveCall);
  const headers = { authorization: "Bearer ada", traceparent: TRACE, "x-other": "private" };
  expect((await trial.client.ask({}, { headers })).text).toBe(`Bearer ada ${TRACE} -`);
});

test("work that outlives the call is no part of it any more", async () => {
  const seen = Promise.withResolvers<unknown>();
  await using trial = await startTrial({
    ask() {
      void outliveCall(async () => {
        await delay(1);
        seen.resolve(currentCall());
      });
      return {};
    },
  });
  await trial.client.ask({}, { headers: { authorization: "Bearer ada" } });
  expect(await seen.promise).toBeUndefined();
});

test("an interceptor of the client sees the carried token and may replace it", async () => {
  const renewing: Interceptor = (next) => (request) => {
    if (request.header.get("authorization") === "Bearer expired")
      request.header.set("authorization", "Bearer fresh");
    return next(request);
  };
  await using trial = await chain(outliveCall, [renewing]);
  const ask = async (authorization: string) =>
    (await trial.client.ask({}, { headers: { authorization } })).text;
  expect(await ask("Bearer expired")).toBe("Bearer fresh - -");
  expect(await ask("Bearer ada")).toBe("Bearer ada - -");
});

test("a header that the caller of a client names itself is not replaced by what is carried", async () => {
  await using last = await startTrial({
    ask: (_, { requestHeader }) => ({ text: requestHeader.get("authorization") ?? "-" }),
  });
  await using first = await startTrial({
    ask: () => last.client.ask({}, { headers: { authorization: "Bearer orders" } }),
  });
  const headers = { authorization: "Bearer ada" };
  expect((await first.client.ask({}, { headers })).text).toBe("Bearer orders");
});

test("no call stays behind after one was refused (as Spring gRPC CVE-2026-40968)", async () => {
  const callers: (string | null | undefined)[] = [];
  await using trial = await startTrial({
    ask({ text }) {
      callers.push(currentCall()?.requestHeader.get("authorization"));
      if (text === "refuse") throw new ConnectError("No", Code.PermissionDenied);
      return {};
    },
  });
  const headers = { authorization: "Bearer ada" };
  await errorOf(trial.client.ask({ text: "refuse" }, { headers }));
  await trial.client.ask({});
  expect(callers).toEqual(["Bearer ada", null]);
  expect(currentCall()).toBeUndefined();
});

test("a stream is read in the name of its caller, message by message", async () => {
  const seen: (string | null | undefined)[] = [];
  const caller = () => currentCall()?.requestHeader.get("authorization");
  await using trial = await startTrial({
    async *read() {
      for (let i = 0; i < 3; i++) {
        seen.push(caller());
        yield {};
        await delay(1);
      }
    },
    async *talk(notes) {
      for await (const note of notes) {
        seen.push(caller());
        yield note;
      }
    },
  });
  const headers = { authorization: "Bearer ada" };
  async function* notes() {
    yield {};
    await delay(5);
    yield {};
  }
  await Array.fromAsync(trial.client.read({}, { headers }));
  await Array.fromAsync(trial.client.talk(notes(), { headers }));
  expect(seen).toEqual(Array.from({ length: 5 }, () => "Bearer ada"));
});
