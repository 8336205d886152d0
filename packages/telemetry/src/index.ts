export { openTelemetry, telemetryWanted } from "./open-telemetry.js";
