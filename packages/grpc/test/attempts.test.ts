import { AsyncLocalStorage } from "node:async_hooks";
import { connect, createServer as listen, type OutgoingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Attributes,
  type Context,
  context,
  type ContextManager,
  type Meter,
  metrics,
  ROOT_CONTEXT,
  type Span,
  trace,
} from "@opentelemetry/api";
import { expect, onTestFinished, test } from "vitest";
import { clientMetrics, type ClientObserver } from "../src/index.js";
import { type Answer, startReplicas } from "./replicas.js";
import { errorOf, startTrial, trialClient } from "./trial-server.js";

const echo: Answer = ({ text }) => ({ text });

/** Fails so many times before it answers. */
function failing(times: number): Answer {
  return (note) => {
    if (times-- > 0) throw new ConnectError("Not now", Code.Unavailable);
    return note;
  };
}

/** An observer that writes down what it is told, without the times. */
function scribe() {
  const lines: string[] = [];
  const observer: ClientObserver = {
    attemptStarted: ({ method }, { kind }) => lines.push(`${method.name}: ${kind}`),
    attemptEnded: (_, { kind, code }) => lines.push(`${kind} ${code}`),
    callEnded: ({ code, attempts }) => lines.push(`call ${code} ${JSON.stringify(attempts)}`),
  };
  return { lines, observer };
}

test("an observer is told of a call, of its only attempt, and by which server", async () => {
  await using replicas = await startReplicas([echo]);
  const told: unknown[] = [];
  using client = trialClient(replicas.address, {
    observers: [
      {
        attemptEnded: ({ target }, { kind, peer }) => told.push([target, kind, peer]),
        callEnded: ({ durationMs }) => told.push(durationMs > 0 && durationMs < 60_000),
      },
    ],
  });
  await client.ask({});
  await expect
    .poll(() => told)
    .toEqual(expect.arrayContaining([[replicas.address, "first", replicas.all[0]!.address], true]));
});

test("retries are attempts of one call", async () => {
  await using replicas = await startReplicas([failing(2)]);
  const { lines, observer } = scribe();
  using client = trialClient(replicas.address, { observers: [observer] });
  await client.askAgain({});
  await expect.poll(() => lines.length).toBe(7);
  expect(lines.filter((line) => !line.startsWith("call"))).toEqual([
    "AskAgain: first",
    "first UNAVAILABLE",
    "AskAgain: retry",
    "retry UNAVAILABLE",
    "AskAgain: retry",
    "retry OK",
  ]);
  expect(lines).toContain('call OK {"first":1,"retry":2}');
});

test("a hedge is an attempt, and the one that lost was cancelled", async () => {
  let calls = 0;
  const slowOnce: Answer = (note) => (calls++ === 0 ? new Promise(() => {}) : note);
  await using replicas = await startReplicas([slowOnce]);
  const { lines, observer } = scribe();
  using client = trialClient(replicas.address, { observers: [observer] });
  await client.askTwo({});
  await expect.poll(() => lines.length).toBe(5);
  expect(lines.slice(0, 2)).toEqual(["AskTwo: first", "AskTwo: hedge"]);
  expect(lines.slice(2).sort()).toEqual([
    'call OK {"first":1,"hedge":1}',
    "first CANCELLED",
    "hedge OK",
  ]);
});

test("a call that no server saw is sent again, also where the contract does not let it be repeated", async () => {
  await using replicas = await startReplicas([echo]);
  await using refusing = await refusingOnce(replicas.all[0]!.address);
  const { lines, observer } = scribe();
  using client = trialClient(refusing.address, { observers: [observer], waitForReady: true });
  await client.ask({});
  await expect.poll(() => lines.length).toBe(5);
  expect(lines.filter((line) => line.startsWith("Ask"))).toEqual([
    "Ask: first",
    "Ask: transparent",
  ]);
  expect(lines).toContain('call OK {"first":1,"transparent":1}');
});

test("a call that reached no server had no attempt", async () => {
  const replicas = await startReplicas([echo]);
  await replicas[Symbol.asyncDispose]();
  const { lines, observer } = scribe();
  using client = trialClient(replicas.address, { observers: [observer] });
  await errorOf(client.ask({}));
  await expect.poll(() => lines).toEqual(["call UNAVAILABLE {}"]);
});

test("streams are calls with attempts too", async () => {
  const { lines, observer } = scribe();
  await using trial = await startTrial(
    {
      async *read() {
        yield {};
        yield {};
      },
    },
    {},
    { observers: [observer] },
  );
  await Array.fromAsync(trial.client.read({}));
  await expect.poll(() => lines.length).toBe(3);
  expect(lines).toContain('call OK {"first":1}');
});

test("attempts are counted under gRPC's names, calls also under OpenTelemetry's", async () => {
  await using replicas = await startReplicas([failing(1)]);
  const { meter, recorded } = recordingMeter();
  using client = trialClient(replicas.address, { observers: [clientMetrics(meter)] });
  await client.askAgain({});
  const of = { "grpc.method": "trial.v1.TrialService/AskAgain", "grpc.target": replicas.address };
  await expect
    .poll(() => recorded)
    .toEqual(
      expect.arrayContaining([
        ["grpc.client.attempt.started", 1, of],
        [
          "grpc.client.attempt.duration",
          expect.any(Number),
          { ...of, "grpc.status": "UNAVAILABLE" },
        ],
        ["grpc.client.attempt.started", 1, of],
        ["grpc.client.attempt.duration", expect.any(Number), { ...of, "grpc.status": "OK" }],
        ["grpc.client.call.duration", expect.any(Number), { ...of, "grpc.status": "OK" }],
        ["grpc.client.call.retries", 1, of],
        [
          "rpc.client.call.duration",
          expect.any(Number),
          {
            "rpc.system.name": "grpc",
            "rpc.method": "trial.v1.TrialService/AskAgain",
            "rpc.response.status_code": "OK",
          },
        ],
      ]),
    );
  expect(recorded).toHaveLength(7);
});

test("attempts are events of the span that was active when the call was made", async () => {
  await using replicas = await startReplicas([failing(1)]);
  context.setGlobalContextManager(new Contexts());
  onTestFinished(() => context.disable());
  const events: [string, Attributes][] = [];
  const span = {
    ...trace.wrapSpanContext({ traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 }),
    isRecording: () => true,
    addEvent: (name: string, attributes: Attributes) => events.push([name, attributes]),
  } as unknown as Span;
  using client = trialClient(replicas.address);
  await context.with(trace.setSpan(ROOT_CONTEXT, span), () => client.askAgain({}));
  await client.askAgain({});
  const peer = {
    "rpc.method": "trial.v1.TrialService/AskAgain",
    "network.peer.address": replicas.all[0]!.address,
  };
  const first = { ...peer, "grpc.attempt.kind": "first" };
  const retry = { ...peer, "grpc.attempt.kind": "retry" };
  await expect
    .poll(() => events)
    .toEqual([
      ["grpc.attempt.started", first],
      ["grpc.attempt.ended", { ...first, "rpc.response.status_code": "UNAVAILABLE" }],
      ["grpc.attempt.started", retry],
      ["grpc.attempt.ended", { ...retry, "rpc.response.status_code": "OK" }],
    ]);
});

/** A meter that keeps what its instruments are told. */
function recordingMeter() {
  const recorded: unknown[] = [];
  const meter = Object.create(metrics.getMeter("test")) as Meter;
  meter.createCounter = (name) => ({ add: (...told) => recorded.push([name, ...told]) });
  meter.createHistogram = (name) => ({ record: (...told) => recorded.push([name, ...told]) });
  return { meter, recorded };
}

/** What an OpenTelemetry SDK brings: the active span by async context. */
class Contexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active = () => this.#storage.getStore() ?? ROOT_CONTEXT;
  with: ContextManager["with"] = (active, work, self, ...args) =>
    this.#storage.run(active, () => work.apply(self as never, args));
  bind: ContextManager["bind"] = (_, target) => target;
  enable = () => this;
  disable = () => this;
}

/** A proxy that refuses the first stream (REFUSED_STREAM), and passes all others on. */
async function refusingOnce(address: string) {
  const upstream = connect(`http://${address}`);
  let refused = false;
  const server = listen();
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    if (!refused) {
      refused = true;
      return stream.close(0x7);
    }
    const forward = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "host"));
    const passed = upstream.request(forward);
    stream.pipe(passed);
    let trailers: OutgoingHttpHeaders = {};
    passed.on("trailers", (told) => (trailers = { ...told }));
    passed.on("response", (answer) => {
      stream.respond({ ...answer }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      passed.pipe(stream);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      upstream.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
