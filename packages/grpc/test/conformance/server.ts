import { setTimeout as delay } from "node:timers/promises";
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import type { TlsSource } from "../../src/index.js";
import { handlers, startTestServer } from "../../src/testing.js";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "../generated/connectrpc/conformance/v1/server_compat_pb.js";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformanceService,
  type Error as SuiteError,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  type UnaryResponseDefinition,
  UnaryRequestSchema,
} from "../generated/connectrpc/conformance/v1/service_pb.js";
import { addTo, toSuite } from "./headers.js";
import { readMessages, writeMessage } from "./sized-messages.js";

// The server under test: reads what is wanted of it, starts, and does as each request says.

function infoOf<Desc extends DescMessage>(
  call: HandlerContext | undefined,
  schema: Desc,
  requests: MessageShape<Desc>[],
): ConformancePayload_RequestInfo {
  const timeout = call?.timeoutMs();
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: call && toSuite(call.requestHeader),
    ...(timeout === undefined ? {} : { timeoutMs: BigInt(Math.round(timeout)) }),
    requests: requests.map((request) => anyPack(schema, request)),
  });
}

function errorOf({ code, message, details }: SuiteError, info?: ConformancePayload_RequestInfo) {
  const error = new ConnectError(message ?? "", code as number);
  for (const { typeUrl, value } of details)
    error.details.push({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value });
  if (info) error.details.push({ desc: ConformancePayload_RequestInfoSchema, value: info });
  if (error.details.length > 0) return error;
  // The engine hides what a handler says with INTERNAL; what another service has said, it passes on.
  const metadata = new grpc.Metadata();
  return Object.assign(new Error(), { code, details: message ?? "", metadata });
}

async function answerOne(
  definition: UnaryResponseDefinition | undefined,
  call: HandlerContext,
  info: ConformancePayload_RequestInfo,
) {
  addTo(call.responseHeader, definition?.responseHeaders);
  addTo(call.responseTrailer, definition?.responseTrailers);
  await delay(definition?.responseDelayMs ?? 0, undefined, { signal: call.signal });
  const { case: kind, value } = definition?.response ?? {};
  if (kind === "error") throw errorOf(value!, info);
  return { payload: { requestInfo: info, ...(kind ? { data: value! } : {}) } };
}

async function* answerMany(
  definition: StreamResponseDefinition | undefined,
  call: HandlerContext,
  info: (number: number) => ConformancePayload_RequestInfo | undefined,
  from = 0,
) {
  for (let number = from; number < (definition?.responseData.length ?? 0); number++) {
    await delay(definition!.responseDelayMs, undefined, { signal: call.signal });
    const requestInfo = info(number);
    const data = definition!.responseData[number]!;
    yield { payload: { data, ...(requestInfo ? { requestInfo } : {}) } };
  }
  const sent = Math.max(from, definition?.responseData.length ?? 0);
  if (definition?.error) throw errorOf(definition.error, sent === 0 ? info(0) : undefined);
}

const conformance: Partial<ServiceImpl<typeof ConformanceService>> = {
  unary: (request, call) =>
    answerOne(request.responseDefinition, call, infoOf(call, UnaryRequestSchema, [request])),
  idempotentUnary: (request, call) =>
    answerOne(
      request.responseDefinition,
      call,
      infoOf(call, IdempotentUnaryRequestSchema, [request]),
    ),
  async clientStream(requests, call) {
    const all = await Array.fromAsync(requests);
    return answerOne(
      all[0]?.responseDefinition,
      call,
      infoOf(call, ClientStreamRequestSchema, all),
    );
  },
  async *serverStream(request, call) {
    const definition = request.responseDefinition;
    addTo(call.responseHeader, definition?.responseHeaders);
    addTo(call.responseTrailer, definition?.responseTrailers);
    yield* answerMany(definition, call, (number) =>
      number === 0 ? infoOf(call, ServerStreamRequestSchema, [request]) : undefined,
    );
  },
  async *bidiStream(requests, call) {
    let definition: StreamResponseDefinition | undefined;
    let seen: MessageShape<typeof BidiStreamRequestSchema>[] = [];
    let count = 0;
    let sent = 0;
    for await (const request of requests) {
      seen.push(request);
      if (count++ === 0) {
        definition = request.responseDefinition;
        addTo(call.responseHeader, definition?.responseHeaders);
        addTo(call.responseTrailer, definition?.responseTrailers);
      }
      if (!seen[0]?.fullDuplex && sent === 0) continue;
      if (sent >= (definition?.responseData.length ?? 0)) break;
      await delay(definition!.responseDelayMs, undefined, { signal: call.signal });
      const about = infoOf(sent === 0 ? call : undefined, BidiStreamRequestSchema, seen);
      yield { payload: { data: definition!.responseData[sent++]!, requestInfo: about } };
      seen = [];
    }
    yield* answerMany(
      definition,
      call,
      (number) => (number === 0 ? infoOf(call, BidiStreamRequestSchema, seen) : undefined),
      sent,
    );
  },
};

/** The certificates that the runner hands out. */
function tlsOf({ clientTlsCert, serverCreds }: ServerCompatRequest): TlsSource {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
  const material = {
    certificate: text(serverCreds!.cert),
    privateKey: text(serverCreds!.key),
    certificateAuthorities: text(clientTlsCert),
  };
  return {
    current: () => material,
    onChange: () => ({ [Symbol.dispose]: () => undefined }),
    nameOf: () => "conformance",
  };
}

const { value: wanted } = await readMessages(ServerCompatRequestSchema).next();
const request = wanted as ServerCompatRequest;
const server = await startTestServer(
  {
    ...(request.useTls ? { tls: tlsOf(request) } : {}),
    ...(request.messageReceiveLimit
      ? { limits: { maxMessageBytes: request.messageReceiveLimit } }
      : {}),
    graceMs: 1000,
    log: { error: (fields, message) => console.error(message, fields) },
  },
  handlers(ConformanceService, conformance),
);
const [host, port] = server.address.split(":");
writeMessage(
  ServerCompatResponseSchema,
  create(ServerCompatResponseSchema, {
    host: host!,
    port: Number(port),
    ...(request.useTls ? { pemCert: request.serverCreds!.cert } : {}),
  }),
);
process.once("SIGTERM", () => void server[Symbol.asyncDispose]().then(() => process.exit()));
