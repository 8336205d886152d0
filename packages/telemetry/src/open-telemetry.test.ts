import { expect, test } from "vitest";
import { telemetryWanted } from "./open-telemetry.js";

const OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318";

test.each([
  [false, {}],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: "" }],
  [true, { OTEL_EXPORTER_OTLP_ENDPOINT }],
  [true, { OTEL_SDK_DISABLED: "false", OTEL_EXPORTER_OTLP_ENDPOINT }],
  [true, { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://127.0.0.1:4318/v1/metrics" }],
  [false, { OTEL_SDK_DISABLED: "TRUE", OTEL_EXPORTER_OTLP_ENDPOINT }],
])("is wanted: %s, with %o", (wanted, environment) => {
  expect(telemetryWanted(environment)).toBe(wanted);
});
