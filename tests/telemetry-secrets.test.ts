import { inspect } from "node:util";
import { clientMetrics } from "@emporium/grpc";
import { bootShop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { context, metrics, propagation, SpanKind, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Journey, planted } from "./secrets/journey.js";
import { Search } from "./secrets/search.js";

/** What OpenTelemetry is told of a journey, all processes being this one. */
const spans = new InMemorySpanExporter();
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: measured });
const meters = new MeterProvider({ readers: [reader] });
const tracers = new TracerProvider({
  spanProcessors: [new SimpleSpanProcessor({ exporter: spans })],
});

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  metrics.setGlobalMeterProvider(meters);
  trace.setGlobalTracerProvider(tracers);
});

afterAll(async () => {
  await Promise.all([meters.shutdown(), tracers.shutdown()]);
  for (const api of [context, propagation, metrics, trace]) api.disable();
});

test("no span and no metric tells a secret", { timeout: 120_000 }, async () => {
  await using shop = await bootShop({ backing: await testInfrastructure() });
  const journey = new Journey(shop, [clientMetrics()]);
  await trace.getTracer("journey").startActiveSpan("journey", async (span) => {
    const bought = await journey.buy();
    await journey.breakRules(bought.checkoutId);
    await journey.beRefused(bought);
    await journey.breakThings(bought.orderId);
    span.end();
  });
  await meters.forceFlush();
  const whole = { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity };
  const told = {
    spans: inspect(spans.getFinishedSpans(), whole),
    metrics: inspect(measured.getMetrics(), whole),
  };
  const look = (search: Search) =>
    Object.entries(told).flatMap(([place, text]) => search.in(place, text));
  expect(look(new Search({ ...planted, ...(await journey.tokens()) }))).toEqual([]);
  // They do tell of the same calls.
  const method = "emporium.checkout.v1.CheckoutService/CompleteOrder";
  expect(look(new Search({ method }))).toEqual(["method in spans", "method in metrics"]);
  expect(told.metrics).toContain("INVALID_ARGUMENT");
  expect(told.spans).toContain("INVALID_ARGUMENT");
  const kinds = new Set(spans.getFinishedSpans().map(({ kind }) => kind));
  const { SERVER, CLIENT, PRODUCER, CONSUMER } = SpanKind;
  expect([...kinds]).toEqual(expect.arrayContaining([SERVER, CLIENT, PRODUCER, CONSUMER]));
  expect(told.spans).toContain("db.query.text");
});
