import { Code, ConnectError } from "@connectrpc/connect";
import { Health } from "@emporium/contracts/grpc/health/v1";
import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createGrpcClient, outliveCall } from "../src/index.js";
import { errorOf, startTrial } from "./trial-server.js";

const exporter = new InMemorySpanExporter();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spanProcessors = [new SimpleSpanProcessor({ exporter })];
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors }));
});

afterEach(() => exporter.reset());

/** Waits for so many spans, and gives them as trees: kind, method, code, whether it is an error. */
async function spans(count: number): Promise<string[]> {
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(count);
  const all = exporter.getFinishedSpans();
  const shown = (span: ReadableSpan): string => {
    const { name, kind, attributes, status, parentSpanContext } = span;
    const parent = all.find((other) => other.spanContext().spanId === parentSpanContext?.spanId);
    const error = status.code === SpanStatusCode.ERROR ? " error" : "";
    const code = String(attributes["rpc.response.status_code"]);
    const own = `${SpanKind[kind]} ${name.split("/")[1]} ${code}${error}`;
    return parent ? `${shown(parent)} > ${own}` : own;
  };
  return all.map(shown).toSorted();
}

test.each([
  [Code.NotFound, "CLIENT Ask NOT_FOUND error > SERVER Ask NOT_FOUND"],
  [Code.DataLoss, "CLIENT Ask DATA_LOSS error > SERVER Ask DATA_LOSS error"],
])(
  "a failure is an error of the server's span only where it is at fault: %i",
  async (code, told) => {
    await using trial = await startTrial({
      ask: () => Promise.reject(new ConnectError("No", code)),
    });
    await errorOf(trial.client.ask({}));
    expect(await spans(2)).toContain(told);
  },
);

test.each([
  ["within", <T>(work: () => T) => work()],
  ["that outlive", outliveCall],
])("calls %s the handler are parts of its span", async (_, wrap) => {
  await using last = await startTrial({ ask: () => ({}) });
  await using first = await startTrial({ ask: () => wrap(() => last.client.ask({})) });
  await first.client.ask({});
  expect(await spans(4)).toContain("CLIENT Ask OK > SERVER Ask OK > CLIENT Ask OK > SERVER Ask OK");
});

test("a call that is retried is one span, whose events are its attempts", async () => {
  let refusals = 1;
  await using trial = await startTrial({
    askAgain() {
      if (refusals-- > 0) throw new ConnectError("Not now", Code.Unavailable);
      return {};
    },
  });
  await trial.client.askAgain({});
  expect(await spans(3)).toEqual([
    "CLIENT AskAgain OK",
    "CLIENT AskAgain OK > SERVER AskAgain OK",
    "CLIENT AskAgain OK > SERVER AskAgain UNAVAILABLE error",
  ]);
  const client = exporter.getFinishedSpans().find(({ kind }) => kind === SpanKind.CLIENT);
  expect(
    client?.events.map(({ name, attributes }) => [name, attributes?.["grpc.attempt.kind"]]),
  ).toEqual([
    ["grpc.attempt.started", "first"],
    ["grpc.attempt.ended", "first"],
    ["grpc.attempt.started", "retry"],
    ["grpc.attempt.ended", "retry"],
  ]);
});

test("a stream that its reader leaves ends the spans of both sides", async () => {
  await using trial = await startTrial({
    async *read(_, { signal }) {
      yield {};
      await new Promise((left) => signal.addEventListener("abort", left));
    },
  });
  for await (const _ of trial.client.read({})) break;
  expect(await spans(2)).toEqual([
    "CLIENT Read CANCELLED error",
    "CLIENT Read CANCELLED error > SERVER Read CANCELLED",
  ]);
});

test("the server has no span for who asks for its health", async () => {
  await using trial = await startTrial({ ask: () => ({}) });
  using health = createGrpcClient(Health, { address: trial.server.address });
  await health.check({ service: "liveness" });
  await trial.client.ask({});
  expect(await spans(3)).toEqual([
    "CLIENT Ask OK",
    "CLIENT Ask OK > SERVER Ask OK",
    "CLIENT Check OK",
  ]);
});
