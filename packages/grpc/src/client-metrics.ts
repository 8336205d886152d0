import { type Attributes, type Meter, metrics } from "@opentelemetry/api";
import type { AttemptKind, ClientCall, ClientObserver } from "./attempts.js";
import { LATENCY_SECONDS } from "./observe.js";
import { policyOf } from "./policy.js";

/**
 * Counts calls, attempts and their time under the names that gRPC itself uses (gRFC A66, A96), and
 * calls as OpenTelemetry's semantic conventions for RPC say (`rpc.client.call.duration`). Times are in
 * seconds. Without an SDK it costs next to nothing.
 *
 * @experimental
 * @example
 * createGrpcClient(OrderService, { address, observers: [clientMetrics()] });
 */
export function clientMetrics(meter: Meter = metrics.getMeter("@emporium/grpc")): ClientObserver {
  const time = (name: string, description: string) =>
    meter.createHistogram(name, {
      unit: "s",
      description,
      advice: { explicitBucketBoundaries: LATENCY_SECONDS },
    });
  const count = (name: string, unit: string, description: string) =>
    meter.createHistogram(name, {
      unit,
      description,
      advice: { explicitBucketBoundaries: [1, 2, 3, 4, 5] },
    });
  const started = meter.createCounter("grpc.client.attempt.started", {
    unit: "{attempt}",
    description: "Attempts of calls that were put on a connection",
  });
  const attemptTime = time("grpc.client.attempt.duration", "Time that attempts took");
  const callTime = time("grpc.client.call.duration", "Time that calls took with all attempts");
  const rpcTime = time("rpc.client.call.duration", "Time that calls took on the client");
  const again: [AttemptKind, ReturnType<typeof count>][] = [
    ["retry", count("grpc.client.call.retries", "{retry}", "Retries of a call")],
    ["hedge", count("grpc.client.call.hedges", "{hedge}", "Hedges of a call")],
    [
      "transparent",
      count(
        "grpc.client.call.transparent_retries",
        "{transparent_retry}",
        "Times that a call was sent again since no server saw it",
      ),
    ],
  ];
  return {
    attemptStarted: (call) => started.add(1, attributesOf(call)),
    attemptEnded: (call, { code, durationMs }) =>
      attemptTime.record(durationMs / 1000, { ...attributesOf(call), "grpc.status": code }),
    callEnded(call) {
      const attributes = attributesOf(call);
      callTime.record(call.durationMs / 1000, { ...attributes, "grpc.status": call.code });
      rpcTime.record(call.durationMs / 1000, {
        "rpc.system.name": "grpc",
        "rpc.method": attributes["grpc.method"],
        "rpc.response.status_code": call.code,
        ...(call.code === "OK" ? {} : { "error.type": call.code }),
      });
      for (const [kind, histogram] of again) {
        const times = call.attempts[kind];
        if (times) histogram.record(times, attributes);
      }
    },
  };
}

function attributesOf({ method, target }: ClientCall): Attributes {
  return { "grpc.method": policyOf(method).path.slice(1), "grpc.target": target };
}
