import { callLog, callMetrics, type CallObserver } from "@emporium/grpc";
import { createLogger } from "@emporium/runtime";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { ExportResultCode } from "@opentelemetry/core";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BatchSpanProcessor,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";

/** Metrics of calls, taken from a real SDK every five seconds. */
export function metrics(): CallObserver {
  const reader = new PeriodicExportingMetricReader({
    exporter: new InMemoryMetricExporter(AggregationTemporality.DELTA),
    exportIntervalMillis: 5_000,
  });
  return callMetrics(new MeterProvider({ readers: [reader] }).getMeter("bench"));
}

/** A log line for each call. */
export function log(): CallObserver {
  return callLog(createLogger({ name: "bench", level: "debug" }));
}

/** Spans of this share of all calls, made by a real SDK and sent to nobody. */
export function traces(share: number): void {
  const exporter: SpanExporter = {
    export: (_, done) => done({ code: ExportResultCode.SUCCESS }),
    shutdown: async () => undefined,
  };
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const sampler = new TraceIdRatioBasedSampler(share);
  const spanProcessors = [new BatchSpanProcessor({ exporter })];
  trace.setGlobalTracerProvider(new TracerProvider({ sampler, spanProcessors }));
}
