import { type Span, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import { DatabaseError } from "pg";

/** Of a statement that begins with WITH, what it does first to a table. */
const VERB = /\b(INSERT|UPDATE|DELETE)\b/;

/**
 * Begins the span of a statement of work whose trace is sampled; `undefined` elsewhere, and so for the
 * loops of relays and sweeps. It has the text, which is constant and never
 * holds data, and no parameters. https://opentelemetry.io/docs/specs/semconv/database/postgresql/
 */
export function statementSpan(text: string): Span | undefined {
  const work = trace.getActiveSpan();
  if (!work || !(work.spanContext().traceFlags & TraceFlags.SAMPLED)) return undefined;
  const [word = ""] = text.match(/\w+/) ?? [];
  const verb = word.toUpperCase() === "WITH" ? (VERB.exec(text)?.[0] ?? "SELECT") : word;
  return trace.getTracer("@emporium/database").startSpan(verb, {
    kind: SpanKind.CLIENT,
    attributes: {
      "db.system.name": "postgresql",
      "db.operation.name": verb,
      "db.query.text": text.trim(),
    },
  });
}

/** Ends it; of an error it tells the SQLSTATE, never the message, which may quote a value. */
export function endStatementSpan(span: Span | undefined, error?: unknown): void {
  if (!span) return;
  if (error !== undefined) {
    const state = error instanceof DatabaseError ? error.code : undefined;
    if (state) span.setAttribute("db.response.status_code", state);
    span.setAttribute("error.type", state ?? (error instanceof Error ? error.name : "_OTHER"));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
