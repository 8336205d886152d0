import { setTimeout as delay } from "node:timers/promises";
import { reasonOf } from "../../src/index.js";
import { trialClient } from "../trial-server.js";
import { trap } from "./trap.js";
import type { Serve } from "./transports.js";

const closeWithOpenStream = async (serve: Serve) => {
  const served = await serve(
    {
      async *read() {
        yield { text: "first" };
        await new Promise(() => {});
      },
    },
    { nest: { gracefulShutdown: true } },
  );
  const client = trialClient(served.address);
  const caller = new AbortController();
  const notes = client.read({}, { signal: caller.signal })[Symbol.asyncIterator]();
  await notes.next();
  const end = notes.next().catch((error: unknown) => error);
  const closed = served.close().then(() => "closed" as const);
  const application = await Promise.race([closed, delay(1000, "still open" as const)]);
  caller.abort();
  const error = await end;
  client[Symbol.dispose]();
  await closed;
  return { application, stream: reasonOf(error)?.reason ?? "left alone" };
};

trap(9, closeWithOpenStream, {
  nest: [
    "an open stream keeps a graceful shutdown waiting",
    { application: "still open", stream: "left alone" },
  ],
  engine: [
    "an open stream is told to resume elsewhere and a shutdown ends",
    { application: "closed", stream: "SHUTTING_DOWN" },
  ],
});
