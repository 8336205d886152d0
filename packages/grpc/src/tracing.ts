import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Metadata } from "@grpc/grpc-js";
import {
  type Context,
  context,
  propagation,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapSetter,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { ClientCall } from "./attempts.js";
import { codeName } from "./observe.js";
import { policyOf } from "./policy.js";
import type { ReadableMetadata } from "./wire/request-metadata.js";

/** Where W3C's `traceparent` travels. */
const received: TextMapGetter<ReadableMetadata> = {
  get: (metadata, name) => metadata.get(name)[0]?.toString(),
  keys: (metadata) => Object.keys(metadata.toHttp2Headers()),
};
const sent: TextMapSetter<Metadata> = {
  set: (metadata, name, value) => metadata.set(name, value),
};

/** Codes of which OpenTelemetry's conventions for gRPC say that they are the server's fault. */
const SERVER_FAULTS: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** The tracer of the process's SDK; `undefined` where there is none, so that a call makes nothing. */
function tracerOfSdk(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  return provider instanceof ProxyTracerProvider
    ? provider.getDelegateTracer("@emporium/grpc")
    : provider.getTracer("@emporium/grpc");
}

/** The caller's trace with the span of this call in it; `undefined` without an SDK. */
export function serverTrace(method: DescMethod, metadata: ReadableMetadata): Context | undefined {
  const tracer = tracerOfSdk();
  if (!tracer) return undefined;
  const caller = propagation.extract(ROOT_CONTEXT, metadata, received);
  return trace.setSpan(caller, startSpan(tracer, method, SpanKind.SERVER, caller));
}

/** Begins the span of a call that is about to be sent, and has the metadata carry it. */
export function clientSpan({ method, target }: ClientCall, metadata: Metadata): Span | undefined {
  const tracer = tracerOfSdk();
  if (!tracer) return undefined;
  const parent = context.active();
  const span = startSpan(tracer, method, SpanKind.CLIENT, parent);
  span.setAttribute("server.address", target);
  propagation.inject(trace.setSpan(parent, span), metadata, sent);
  return span;
}

function startSpan(tracer: Tracer, method: DescMethod, kind: SpanKind, parent: Context): Span {
  const name = policyOf(method).path.slice(1);
  const attributes = { "rpc.system.name": "grpc", "rpc.method": name };
  return tracer.startSpan(name, { kind, attributes }, parent);
}

/** Ends the span of a server. What the caller did wrong is no error of the server. */
export function endServerSpan(span: Span | undefined, code: Code | undefined): void {
  endSpan(span, code, code !== undefined && SERVER_FAULTS.has(code));
}

/** Ends the span of a client, for which everything but OK is an error. */
export function endClientSpan(span: Span | undefined, code: Code | undefined): void {
  endSpan(span, code, code !== undefined);
}

function endSpan(span: Span | undefined, code: Code | undefined, failed: boolean): void {
  if (!span) return;
  const name = codeName(code);
  span.setAttribute("rpc.response.status_code", name);
  if (code !== undefined) span.setAttribute("error.type", name);
  if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
