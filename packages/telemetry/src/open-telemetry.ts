import { setTimeout } from "node:timers/promises";

const LAST_WORDS_MS = 2_000;

/** Any of these says where to send to: https://opentelemetry.io/docs/specs/otel/protocol/exporter/. */
const ENDPOINTS = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];

/**
 * True where the environment names an OTLP endpoint and does not say `OTEL_SDK_DISABLED=true`. The SDK
 * alone would send to `localhost:4318` where nothing is said; a shop that nobody observes stays silent.
 *
 * @example
 * telemetryWanted({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://observability:4318" }); // true
 */
export function telemetryWanted(environment: Record<string, string | undefined>): boolean {
  if (environment["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true") return false;
  return ENDPOINTS.some((name) => environment[name]?.trim());
}

/**
 * Starts OpenTelemetry's SDK for this process: traces and metrics by OTLP, set up by the standard
 * `OTEL_` variables alone (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/),
 * and the metrics of the Node runtime (event loop, heap, garbage collection). Off, and not even loaded,
 * unless `telemetryWanted`. Nothing is patched: what the process does is told by its own packages through
 * `@opentelemetry/api`, so this has to be opened before them. `serviceName` is the name where
 * `OTEL_SERVICE_NAME` gives none. Disposing sends what is left, within
 * two seconds, and ends it; a backend that is away never fails the process.
 *
 * @example
 * await using telemetry = await openTelemetry("orders");
 */
export async function openTelemetry(serviceName: string): Promise<AsyncDisposable> {
  if (!telemetryWanted(process.env)) return new AsyncDisposableStack();
  const [{ NodeSDK }, resources, { RuntimeNodeInstrumentation }] = await Promise.all([
    import("@opentelemetry/sdk-node"),
    import("@opentelemetry/resources"),
    import("@opentelemetry/instrumentation-runtime-node"),
  ]);
  const named = resources.resourceFromAttributes({ "service.name": serviceName });
  // Not the baggage of whoever calls: it would travel on to every service and into every event.
  process.env["OTEL_PROPAGATORS"] ??= "tracecontext";
  const sdk = new NodeSDK({
    resource: resources.defaultResource().merge(named),
    // Not the process's command line, owner and host: none of a backend's business.
    resourceDetectors: [resources.serviceInstanceIdDetector, resources.envDetector],
    instrumentations: [new RuntimeNodeInstrumentation()],
    // Logs stay on standard output; its lines have the ids of the trace.
    logRecordProcessors: [],
  });
  sdk.start();
  return {
    async [Symbol.asyncDispose]() {
      const sent = sdk.shutdown().catch(() => undefined);
      await Promise.race([sent, setTimeout(LAST_WORDS_MS, undefined, { ref: false })]);
    },
  };
}
