import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { type Attributes, type Meter, metrics } from "@opentelemetry/api";
import { policyOf } from "./policy.js";

/** A call that a server has answered. */
export interface FinishedCall {
  readonly method: DescMethod;
  /** Status code by its name in gRPC, `OK`, `NOT_FOUND`, … */
  readonly code: string;
  /** From the first byte of the request to the end of the answer's making. */
  readonly durationMs: number;
  /** Address that the call came from. */
  readonly peer: string;
}

/** Is told of every call when it has ended. It must not throw, and should be quick. */
export type CallObserver = (call: FinishedCall) => void;

/**
 * Name of a status code in gRPC's own spelling; `OK` for none.
 *
 * @example
 * codeName(Code.NotFound); // "NOT_FOUND"
 */
export function codeName(code: Code | undefined): string {
  return code === undefined ? "OK" : (names.get(code) ?? "UNKNOWN");
}

const names = new Map(
  Object.entries(Code)
    .filter(([, code]) => typeof code === "number")
    .map(([name, code]) => [
      code as Code,
      name === "Canceled"
        ? "CANCELLED"
        : name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase(),
    ]),
);

/** Buckets for the time that calls take (gRFC A66). */
export const LATENCY_SECONDS = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006,
  0.008, 0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25,
  0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100,
];

/**
 * Counts calls and their time as OpenTelemetry's semantic conventions for RPC say
 * (`rpc.server.call.duration`, seconds). Without an SDK it costs next to nothing.
 *
 * @example
 * new GrpcServer({ ..., observers: [callMetrics(), callLog(log)] });
 */
export function callMetrics(meter: Meter = metrics.getMeter("@emporium/grpc")): CallObserver {
  const duration = meter.createHistogram("rpc.server.call.duration", {
    unit: "s",
    description: "Time that calls took on the server",
    advice: { explicitBucketBoundaries: LATENCY_SECONDS },
  });
  const attributes = new Map<string, Attributes>();
  return ({ method, code, durationMs }) => {
    const { path } = policyOf(method);
    const key = path + code;
    let known = attributes.get(key);
    if (!known) {
      known = {
        "rpc.system.name": "grpc",
        "rpc.method": path.slice(1),
        "rpc.response.status_code": code,
        ...(code === "OK" ? {} : { "error.type": code }),
      };
      attributes.set(key, known);
    }
    duration.record(durationMs / 1000, known);
  };
}

/** Where `callLog` writes to; pino's loggers fit. */
export interface CallLogSink {
  isLevelEnabled(level: string): boolean;
  debug(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

/** Codes that say that the server, and not its caller, is in trouble. */
const TROUBLE = new Set(["UNKNOWN", "INTERNAL", "DATA_LOSS", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]);

/**
 * Writes a line for each call: method, code, milliseconds, and who called. At `warn` where the server is
 * in trouble. The others go to `debug`: a line costs a good part of what a small call does, and metrics
 * tell the same of all calls together.
 *
 * @example
 * new GrpcServer({ ..., observers: [callLog(pino())] });
 */
export function callLog(log: CallLogSink): CallObserver {
  return ({ method, code, durationMs, peer }) => {
    // A server that drains ends its streams so, and one whose time is over; their readers resume them.
    const resumed = code === "UNAVAILABLE" && /^(server|bidi)/.test(method.methodKind);
    const trouble = TROUBLE.has(code) && !resumed;
    if (!trouble && !log.isLevelEnabled("debug")) return;
    const fields = {
      rpc: policyOf(method).path.slice(1),
      code,
      ms: Math.round(durationMs * 1000) / 1000,
      peer,
    };
    if (trouble) log.warn(fields, "Call failed");
    else log.debug(fields, "Call");
  };
}
