import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

/** What a process tells of itself, as OTLP has it in JSON (opentelemetry-proto, "JSON Protobuf Encoding"). */
interface Resource {
  resource: { attributes: Attribute[] };
}
interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: number | string; boolValue?: boolean };
}
interface Traces {
  resourceSpans: (Resource & { scopeSpans: { spans: WireSpan[] }[] })[];
}
interface WireSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  status: { code?: number };
  attributes: Attribute[];
}
interface Points {
  dataPoints: { attributes: Attribute[] }[];
}
interface Metric {
  name: string;
  unit?: string;
  gauge?: Points;
  sum?: Points & { isMonotonic?: boolean };
  histogram?: Points;
}
interface Metrics {
  resourceMetrics: (Resource & { scopeMetrics: { metrics: Metric[] }[] })[];
}

/** A span that a process has sent. */
export interface Span extends Omit<WireSpan, "attributes" | "kind"> {
  service: string;
  kind: string;
  attributes: Record<string, string>;
}

const KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

/** A real OTLP/HTTP receiver, which keeps what processes send to it. */
export class Receiver implements AsyncDisposable {
  readonly spans: Span[] = [];
  /** Names of Prometheus' series, with the labels that were seen on any of them. */
  readonly series = new Map<string, Set<string>>();
  readonly #server = createServer((request, response) => {
    void json(request).then((body) => {
      if (request.url === "/v1/traces") this.#takeSpans(body as Traces);
      else if (request.url === "/v1/metrics") this.#takeMetrics(body as Metrics);
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });

  static async open(): Promise<Receiver> {
    const receiver = new Receiver();
    await once(receiver.#server.listen(0, "127.0.0.1"), "listening");
    return receiver;
  }

  /** The standard variables that have a process send here, soon and all of it. */
  get environment(): Record<string, string> {
    const { port } = this.#server.address() as AddressInfo;
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "500",
      OTEL_METRIC_EXPORT_TIMEOUT: "500",
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  #takeSpans({ resourceSpans }: Traces): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = valuesOf(resource.attributes)["service.name"] ?? "";
      for (const { spans } of scopeSpans)
        for (const span of spans)
          this.spans.push({
            ...span,
            service,
            kind: KINDS[span.kind]!,
            attributes: valuesOf(span.attributes),
          });
    }
  }

  #takeMetrics({ resourceMetrics }: Metrics): void {
    for (const { resource, scopeMetrics } of resourceMetrics) {
      const { "service.name": job, "service.instance.id": instance } = valuesOf(
        resource.attributes,
      );
      if (!job || !instance) throw new Error("A process does not say which it is");
      for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) this.#take(metric);
    }
  }

  #take(metric: Metric): void {
    const { dataPoints } = metric.gauge ?? metric.sum ?? metric.histogram ?? { dataPoints: [] };
    for (const name of seriesOf(metric)) {
      const labels = this.series.get(name) ?? new Set(["job", "instance"]);
      if (name.endsWith("_bucket")) labels.add("le");
      for (const { attributes } of dataPoints)
        for (const { key } of attributes) labels.add(key.replaceAll(/\W/g, "_"));
      if (dataPoints.length > 0) this.series.set(name, labels);
    }
  }
}

/** How Prometheus calls what OTLP brings: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ */
function seriesOf({ name, unit = "", gauge, sum, histogram }: Metric): string[] {
  const units: Record<string, string> = {
    s: "_seconds",
    By: "_bytes",
    ...(gauge && { 1: "_ratio" }),
  };
  const base = name.replaceAll(/\W/g, "_");
  const suffix = units[unit] ?? "";
  const whole = base.endsWith(suffix) ? base : base + suffix;
  if (histogram) return ["_bucket", "_count", "_sum"].map((part) => whole + part);
  return [sum?.isMonotonic ? `${whole}_total` : whole];
}

function valuesOf(attributes: Attribute[]): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]),
  );
}
