import {
  type Attributes,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { EventMeta } from "./envelope.js";

/** The trace that the running code works for as headers, `traceparent` first; nothing without an SDK. */
export function traceHeaders(): Record<string, string> | undefined {
  if (!trace.getActiveSpan()) return undefined;
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}

/**
 * Publishes an event as a span of the trace that it happened in, which its row has brought along. The
 * message carries the trace on from that span: `publish` gets the headers for it.
 */
export function publishTraced<T>(
  event: Pick<EventMeta, "id" | "type" | "headers">,
  stream: string,
  publish: (headers: Record<string, string>) => Promise<T>,
): Promise<T> {
  if (event.headers["traceparent"] === undefined) return publish(event.headers);
  const from = { event, stream, operation: "publish", type: "send" };
  return inSpan(SpanKind.PRODUCER, from, {}, () => {
    const headers = { ...event.headers };
    propagation.inject(context.active(), headers);
    return publish(headers);
  });
}

/** Takes an event in as a span of the trace that it happened in. */
export function processTraced<T extends { kind: string }>(
  event: EventMeta,
  { stream, consumer }: { stream: string; consumer: string },
  process: () => Promise<T>,
): Promise<T> {
  const from = { event, stream, operation: "process", type: "process" };
  const attributes = { "messaging.consumer.group.name": consumer };
  return inSpan(SpanKind.CONSUMER, from, attributes, async (span) => {
    const answer = await process();
    span.setAttribute("emporium.event.outcome", answer.kind);
    if (answer.kind === "buried") span.setStatus({ code: SpanStatusCode.ERROR });
    return answer;
  });
}

/** Names and attributes: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/. */
function inSpan<T>(
  kind: SpanKind,
  from: {
    event: Pick<EventMeta, "id" | "type" | "headers">;
    stream: string;
    operation: string;
    type: string;
  },
  more: Attributes,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const { event, stream, operation, type } = from;
  const attributes = {
    "messaging.system": "nats",
    "messaging.operation.name": operation,
    "messaging.operation.type": type,
    "messaging.destination.name": stream,
    "messaging.message.id": event.id,
    "emporium.event.type": event.type,
    ...more,
  };
  const parent = propagation.extract(ROOT_CONTEXT, event.headers);
  const tracer = trace.getTracer("@emporium/events");
  return tracer.startActiveSpan(
    `${operation} ${stream}`,
    { kind, attributes },
    parent,
    async (span) => {
      try {
        return await work(span);
      } catch (error) {
        span.setAttribute("error.type", error instanceof Error ? error.name : "_OTHER");
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    },
  );
}
