import { setTimeout as delay } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { errorOf, trialClient } from "../trial-server.js";
import { trap } from "./trap.js";
import type { Call, Serve } from "./transports.js";

/** A handler that works for 400 ms unless it is told to stop, and tells what became of it. */
function slowWork() {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<"ran to its end" | "stopped">();
  const ask = async (_: unknown, { signal }: Call) => {
    started.resolve();
    await delay(400, undefined, { signal }).then(
      () => ended.resolve("ran to its end"),
      () => ended.resolve("stopped"),
    );
    return {};
  };
  return { ask, started: started.promise, ended: ended.promise };
}

const askWithDeadline = async (serve: Serve) => {
  const work = slowWork();
  await using served = await serve(work);
  using client = trialClient(served.address);
  const error = await errorOf(client.ask({}, { timeoutMs: 100 }));
  return { code: (error as { code: Code }).code, handler: await work.ended };
};

trap(1, askWithDeadline, {
  nest: [
    "a handler runs to its end after the caller's deadline",
    { code: Code.DeadlineExceeded, handler: "ran to its end" },
  ],
  engine: [
    "a handler stops at the caller's deadline",
    { code: Code.DeadlineExceeded, handler: "stopped" },
  ],
});

const askAndCancel = async (serve: Serve) => {
  const work = slowWork();
  await using served = await serve(work);
  using client = trialClient(served.address);
  const caller = new AbortController();
  const asked = errorOf(client.ask({}, { signal: caller.signal }));
  await work.started;
  caller.abort();
  const error = await asked;
  return { code: (error as { code: Code }).code, handler: await work.ended };
};

trap(2, askAndCancel, {
  nest: [
    "a handler runs to its end after the caller has cancelled",
    { code: Code.Canceled, handler: "ran to its end" },
  ],
  engine: ["a handler stops when the caller cancels", { code: Code.Canceled, handler: "stopped" }],
});
