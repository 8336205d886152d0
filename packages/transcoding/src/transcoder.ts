// Answers HTTP requests by calling RPCs over any transport of Connect.
import { createHash } from "node:crypto";
import {
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  type JsonObject,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { problemOf } from "./problem.js";
import { requestMessage } from "./request-message.js";
import { type Route, routesOf } from "./routes.js";
import { eventStream, jsonLines } from "./stream-body.js";

/** An HTTP request, as far as the transcoder looks at it. */
export interface RestRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: Headers;
  /** The metadata that goes along with the call. */
  metadata: Headers;
  body: string;
  signal: AbortSignal;
}

/** The response; a stream's body is read at the pace of the client. */
export interface RestResponse {
  status: number;
  headers: Record<string, string>;
  /** Metadata of the service: its headers, and the trailers of a unary call. */
  metadata: Headers;
  body: string | AsyncIterable<string>;
}

/** What a transcoder serves. */
export interface TranscoderOptions {
  services: readonly DescService[];
  /** Where the calls of a method go. */
  transportOf: (method: DescMethod) => Transport;
  /** Which methods can be called; all if absent. */
  isPublic?: (method: DescMethod) => boolean;
}

/**
 * REST and JSON for every method that has `google.api.http`. Errors are problem details.
 *
 * @example
 * const transcoder = new Transcoder({ services: [OrderService], transportOf: () => transport });
 * const { status, body } = await transcoder.handle(request);
 */
export class Transcoder {
  readonly routes: readonly Route[];
  readonly #transportOf: TranscoderOptions["transportOf"];

  constructor({ services, transportOf, isPublic }: TranscoderOptions) {
    this.routes = routesOf(services, isPublic);
    this.#transportOf = transportOf;
  }

  /** Never rejects: what goes wrong is a problem. */
  async handle(request: RestRequest): Promise<RestResponse> {
    try {
      return await this.#call(request);
    } catch (error) {
      return problem(ConnectError.from(error));
    }
  }

  async #call(request: RestRequest): Promise<RestResponse> {
    const [path = "", query = ""] = request.url.split(/\?(.*)/s);
    const matches = this.routes.filter(({ template }) => template.match(path));
    if (matches.length === 0)
      return problem(new ConnectError(`Nothing is at ${path}`, Code.NotFound));
    const route = matches.find(({ httpMethod }) => httpMethod === request.method);
    if (!route) {
      const allow = [...new Set(matches.map(({ httpMethod }) => httpMethod))].join(", ");
      const error = new ConnectError(`${path} allows ${allow}`, Code.Unimplemented);
      return problem(error, 405, { allow });
    }
    const parameters = new URLSearchParams(query);
    resume(route.rpc, request.headers, parameters);
    const variables = route.template.match(path)!;
    const message = requestMessage(route, { variables, query: parameters, body: request.body });
    const rpc: DescMethodUnary | DescMethodStreaming = route.rpc;
    if (rpc.methodKind === "unary") return this.#unary(route, rpc, message, request);
    return this.#stream(route, rpc, message, request);
  }

  async #unary(route: Route, rpc: DescMethodUnary, message: Message, request: RestRequest) {
    const { signal, metadata } = request;
    const call = this.#transportOf(rpc).unary(rpc, signal, undefined, metadata, message);
    const response = await call;
    const body = JSON.stringify(responseJson(route, response.message));
    const headers: Record<string, string> = { "content-type": "application/json" };
    const own = new Headers([...response.header, ...response.trailer]);
    if (rpc.idempotency !== Idempotency.NO_SIDE_EFFECTS)
      return { status: 200, headers, metadata: own, body };
    const etag = `"${createHash("sha256").update(body).digest("base64url")}"`;
    Object.assign(headers, { etag, "cache-control": "private, no-cache" });
    const known = request.headers.get("if-none-match")?.split(/,\s*/) ?? [];
    const same = known.some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag);
    return { status: same ? 304 : 200, headers, metadata: own, body: same ? "" : body };
  }

  async #stream(route: Route, rpc: DescMethodStreaming, message: Message, request: RestRequest) {
    const { signal, metadata } = request;
    const transport = this.#transportOf(rpc);
    const response = await transport.stream(rpc, signal, undefined, metadata, just(message));
    const events = request.headers.get("accept")?.includes("text/event-stream") ?? false;
    const messages = response.message as AsyncIterable<Message>;
    const source = { messages, toJson: (one: Message) => responseJson(route, one) };
    return {
      status: 200,
      headers: {
        "content-type": events ? "text/event-stream" : "application/x-ndjson",
        "cache-control": "no-store",
      },
      metadata: response.header,
      body: events ? eventStream(source) : jsonLines(source),
    };
  }
}

/** `Last-Event-ID` of an EventSource is where the stream goes on. */
function resume({ input }: DescMethod, headers: Headers, query: URLSearchParams): void {
  const last = headers.get("last-event-id");
  const field = input.fields.find(({ name }) => name === "resume_token");
  if (!last || !field) return;
  query.delete(field.jsonName);
  query.set(field.name, last);
}

function responseJson({ rpc, responseBody }: Route, message: Message): JsonValue {
  const json = toJson(rpc.output, message, { alwaysEmitImplicit: true }) as JsonObject;
  if (!responseBody) return json;
  const field = rpc.output.fields.find(({ name }) => name === responseBody);
  return (field && json[field.jsonName]) ?? null;
}

function problem(error: ConnectError, status?: number, more?: Record<string, string>) {
  const { body, headers, ...rest } = problemOf(error, status);
  return {
    ...rest,
    headers: { ...headers, ...more },
    metadata: error.metadata,
    body: JSON.stringify(body),
  };
}

async function* just<T>(value: T) {
  yield value;
}
