import { callLog, callMetrics, type CallObserver } from "@emporium/grpc";
import { createLogger } from "@emporium/runtime";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";

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
