import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { retirement } from "@emporium/contracts/options/v1";
import { Metadata } from "@grpc/grpc-js";
import { type Meter, metrics } from "@opentelemetry/api";
import { policyOf } from "./policy.js";

/** Response headers that warn the callers of a method that is on its way out. */
export interface Deprecation {
  /** Since when it is deprecated, `@1795392000` (RFC 9745). */
  readonly deprecation: string;
  /** When it may be gone, `Wed, 30 Jun 2027 00:00:00 GMT` (RFC 8594). */
  readonly sunset: string;
}

/** A call, as far as it tells who makes it. */
export interface CallOrigin {
  readonly requestHeader: Headers;
  readonly metadata: Pick<Metadata, "get">;
  /** Address and port that the call came from. */
  readonly peer: string;
}

/** How calls of deprecated methods are counted. */
export interface DeprecatedCallsOptions {
  /** Names the caller. It becomes an attribute of a metric: few values, and none of them private. */
  callerOf?: (call: CallOrigin) => string;
  meter?: Meter;
}

/** Most characters of a caller's name: the header is the caller's own, and could be long. */
const MOST_NAME = 100;

const deprecations = new WeakMap<DescMethod, Deprecation | undefined>();

/**
 * What callers of a deprecated method are warned with; `undefined` for all other methods.
 *
 * @example
 * deprecationOf(OrderService.method.getOrder)?.sunset; // "Wed, 30 Jun 2027 00:00:00 GMT"
 */
export function deprecationOf(method: DescMethod): Deprecation | undefined {
  if (!deprecations.has(method)) deprecations.set(method, readDeprecation(method));
  return deprecations.get(method);
}

function readDeprecation(method: DescMethod): Deprecation | undefined {
  if (!method.deprecated || !hasOption(method, retirement)) return undefined;
  const { deprecationDate, sunsetDate } = getOption(method, retirement);
  return {
    deprecation: `@${Date.parse(deprecationDate) / 1000}`,
    sunset: new Date(sunsetDate).toUTCString(),
  };
}

const warnings = new WeakMap<Deprecation, Metadata>();

/** The warning as response headers of its own, the same object each time. */
export function warningOf(deprecation: Deprecation): Metadata {
  let metadata = warnings.get(deprecation);
  if (!metadata) {
    metadata = new Metadata();
    for (const [name, value] of Object.entries(deprecation)) metadata.set(name, value);
    warnings.set(deprecation, metadata);
  }
  return metadata;
}

/** Adds the warning to headers, or to trailers where there will be no headers. */
export function warn(headers: Headers, { deprecation, sunset }: Deprecation): void {
  headers.set("deprecation", deprecation);
  headers.set("sunset", sunset);
}

/**
 * Makes what counts calls of deprecated methods, each with who made it, as
 * `rpc.server.deprecated.calls`: a method can go when nobody calls it any more, and until then the
 * counter says whom to ask. Without an SDK it costs next to nothing.
 */
export function countDeprecatedCalls({
  callerOf = userAgentOrHost,
  meter = metrics.getMeter("@emporium/grpc"),
}: DeprecatedCallsOptions = {}): (method: DescMethod, call: CallOrigin) => void {
  const calls = meter.createCounter("rpc.server.deprecated.calls", {
    unit: "{call}",
    description: "Calls of methods that are on their way out",
  });
  return (method, call) =>
    calls.add(1, {
      "rpc.system.name": "grpc",
      "rpc.method": policyOf(method).path.slice(1),
      "rpc.caller": callerOf(call).slice(0, MOST_NAME),
    });
}

/** The program that calls, by its own account; else the machine, without the port of this call. */
function userAgentOrHost({ metadata, peer }: CallOrigin): string {
  const [program] = metadata.get("user-agent");
  return program?.toString() ?? peer.replace(/:\d+$/, "");
}
