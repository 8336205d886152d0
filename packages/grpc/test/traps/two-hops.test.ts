import { once } from "node:events";
import type { Client } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { ClientProxyFactory, type ClientGrpc, Transport } from "@nestjs/microservices";
import { firstValueFrom, type Observable } from "rxjs";
import { TrialService } from "../generated/trial/v1/trial_pb.js";
import { errorOf, trialClient } from "../trial-server.js";
import { trap } from "./trap.js";
import { nestTransport, type Serve, trialPackage } from "./transports.js";

/** The last server of a chain, which tells what it sees of the calls that reach it. */
async function lastServer(answer: (call: number) => grpc.status) {
  const server = new grpc.Server();
  const calls: grpc.ServerUnaryCall<Buffer, Buffer>[] = [];
  const reached = Promise.withResolvers<grpc.ServerUnaryCall<Buffer, Buffer>>();
  const bytes = (value: Buffer) => value;
  const handle: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    const code = answer(calls.push(call));
    reached.resolve(call);
    if (code === grpc.status.OK) callback(null, Buffer.alloc(0));
    else if (code !== NEVER) callback({ code, details: "not this time" });
  };
  for (const method of ["Ask", "AskAgain"])
    server.register(`/trial.v1.TrialService/${method}`, handle, bytes, bytes, "unary");
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return {
    address: `127.0.0.1:${port}`,
    calls,
    reached: reached.promise,
    [Symbol.dispose]: () => server.forceShutdown(),
  };
}

const NEVER = -1 as grpc.status;

type Ask = (note: object) => Promise<unknown>;

/** Both methods of a client for the last server, as the transport under test has one. */
function clientFor(serve: Serve, address: string): { ask: Ask; askAgain: Ask } & Disposable {
  if (serve !== nestTransport) {
    const client: Client<typeof TrialService> & Disposable = trialClient(address);
    return client;
  }
  const proxy = ClientProxyFactory.create({
    transport: Transport.GRPC,
    options: { ...trialPackage, url: address },
  }) as unknown as ClientGrpc & { close(): void };
  type Service = Record<"ask" | "askAgain", (note: object) => Observable<unknown>>;
  const service = proxy.getService<Service>("TrialService");
  return {
    ask: (note) => firstValueFrom(service.ask(note)),
    askAgain: (note) => firstValueFrom(service.askAgain(note)),
    [Symbol.dispose]: () => proxy.close(),
  };
}

const hopWithDeadline = async (serve: Serve) => {
  using last = await lastServer(() => NEVER);
  using next = clientFor(serve, last.address);
  await using middle = await serve({ ask: () => next.ask({}).catch(() => ({})) });
  using first = trialClient(middle.address);
  const latest = Date.now() + 5000;
  const asked = first.ask({}, { timeoutMs: 5000 });
  const deadline = Number((await last.reached).getDeadline());
  last[Symbol.dispose]();
  await asked;
  return deadline === Infinity ? "none" : deadline <= latest + 50 ? "the caller's" : "another";
};

trap(6, hopWithDeadline, {
  nest: ["a call made for a call has no deadline", "none"],
  engine: ["a call made for a call has what is left of its time", "the caller's"],
});

const hopAndCancel = async (serve: Serve) => {
  using last = await lastServer(() => NEVER);
  using next = clientFor(serve, last.address);
  const middleDone = Promise.withResolvers<void>();
  await using middle = await serve({
    ask: () =>
      next
        .ask({})
        .catch(() => ({}))
        .finally(middleDone.resolve),
  });
  using first = trialClient(middle.address);
  const caller = new AbortController();
  const asked = errorOf(first.ask({}, { signal: caller.signal }));
  const call = await last.reached;
  const cancelled = once(call, "cancelled").then(() => "cancelled" as const);
  caller.abort();
  const { code } = (await asked) as { code: Code };
  const patience = new Promise<"still running">((resolve) =>
    setTimeout(() => resolve("still running"), 300),
  );
  const outcome = await Promise.race([cancelled, patience]);
  last[Symbol.dispose]();
  await middleDone.promise;
  return { caller: Code[code], last: outcome };
};

trap<{ caller: string | undefined; last: string }>(6, hopAndCancel, {
  nest: ["a call made for a cancelled call goes on", { caller: "Canceled", last: "still running" }],
  engine: [
    "a call made for a cancelled call is cancelled",
    { caller: "Canceled", last: "cancelled" },
  ],
});

const askOneThatFailsOnce = (method: "ask" | "askAgain") => async (serve: Serve) => {
  using last = await lastServer((call) => (call === 1 ? grpc.status.UNAVAILABLE : grpc.status.OK));
  using client = clientFor(serve, last.address);
  const outcome = await client[method]({}).then(
    () => "answered",
    () => "failed",
  );
  return { outcome, calls: last.calls.length };
};

trap(14, askOneThatFailsOnce("askAgain"), {
  nest: ["an idempotent call is not retried", { outcome: "failed", calls: 1 }],
  engine: ["an idempotent call is retried", { outcome: "answered", calls: 2 }],
});

trap(14, askOneThatFailsOnce("ask"), {
  nest: ["no call is retried", { outcome: "failed", calls: 1 }],
  engine: ["a call that may not be repeated is not", { outcome: "failed", calls: 1 }],
});
