import { setTimeout as delay } from "node:timers/promises";
import { create, createRegistry, type Message } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { createGrpcClient, type TlsSource } from "../../src/index.js";
import {
  type ClientCompatRequest,
  ClientCompatRequestSchema,
  ClientCompatResponseSchema,
  type ClientResponseResult,
  ClientResponseResultSchema,
} from "../generated/connectrpc/conformance/v1/client_compat_pb.js";
import {
  Code as SuiteCode,
  Compression,
  StreamType,
} from "../generated/connectrpc/conformance/v1/config_pb.js";
import {
  type ConformancePayload,
  ConformancePayloadSchema,
  ConformanceService,
  ErrorSchema,
  file_connectrpc_conformance_v1_service,
} from "../generated/connectrpc/conformance/v1/service_pb.js";
import { addTo, toSuite } from "./headers.js";
import { readMessages, writeMessage } from "./sized-messages.js";

// The client under test: makes each call that the runner asks for, and tells what came of it.

const AT_ONCE = 16;
const types = createRegistry(file_connectrpc_conformance_v1_service);

type Answer = Message & { payload?: ConformancePayload };
type AnyCall = (input: unknown, options: CallOptions) => Promise<Answer> | AsyncIterable<Answer>;

/** The certificates that the runner hands out. */
function tlsOf({ clientTlsCreds, serverTlsCert }: ClientCompatRequest): TlsSource {
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
  const material = {
    certificate: text(clientTlsCreds?.cert),
    privateKey: text(clientTlsCreds?.key),
    certificateAuthorities: text(serverTlsCert),
  };
  return {
    current: () => material,
    onChange: () => ({ [Symbol.dispose]: () => undefined }),
    nameOf: () => "conformance",
  };
}

function connectTo(request: ClientCompatRequest) {
  const { serverTlsCert, messageReceiveLimit } = request;
  return createGrpcClient(ConformanceService, {
    address: `${request.host}:${request.port}`,
    ...(serverTlsCert.length > 0 ? { tls: { source: tlsOf(request), server: "conformance" } } : {}),
    channelOptions: {
      "grpc.use_local_subchannel_pool": 1,
      ...(messageReceiveLimit ? { "grpc.max_receive_message_length": messageReceiveLimit } : {}),
      ...(request.compression === Compression.GZIP
        ? { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip }
        : {}),
    },
  });
}

async function perform(request: ClientCompatRequest): Promise<ClientResponseResult> {
  using client = connectTo(request);
  const method = ConformanceService.methods.find(({ name }) => name === request.method)!;
  const call = client[method.localName as keyof typeof client] as unknown as AnyCall;
  const result = create(ClientResponseResultSchema);
  const caller = new AbortController();
  const { cancelTiming: timing } = request.cancel ?? {};
  const afterSend = timing?.case === "afterCloseSendMs" ? timing.value : undefined;
  const cancelAfterSend = () => {
    if (!request.cancel || timing?.case === "afterNumResponses") return;
    if (timing?.case === "beforeCloseSend") caller.abort();
    else setTimeout(() => caller.abort(), afterSend ?? 0);
  };
  const turns = conversation(request.streamType === StreamType.FULL_DUPLEX_BIDI_STREAM);
  const messages = request.requestMessages.map((message) => anyUnpack(message, types)!);
  result.numUnsentRequests = messages.length;
  async function* stream() {
    for (const message of messages) {
      await delay(request.requestDelayMs);
      result.numUnsentRequests--;
      yield message;
      await turns.answered();
    }
    cancelAfterSend();
    // Cancelled rather than closed: nothing more is said.
    if (timing?.case === "beforeCloseSend") await new Promise(() => {});
  }
  const streams =
    method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  if (!streams) result.numUnsentRequests = 0;
  const options: CallOptions = {
    headers: addTo(new Headers(), request.requestHeaders),
    // The suite's methods have no deadline of their own; the runner would wait for 20 s.
    signal: AbortSignal.any([caller.signal, AbortSignal.timeout(5000)]),
    ...(request.timeoutMs === undefined ? {} : { timeoutMs: request.timeoutMs }),
    onHeader: (headers) => (result.responseHeaders = toSuite(headers)),
    onTrailer: (trailers) => (result.responseTrailers = toSuite(trailers)),
  };
  try {
    const answer = call(streams ? stream() : messages[0], options);
    if (!streams) cancelAfterSend();
    for await (const { payload } of asMany(answer)) {
      result.payloads.push(payload ?? create(ConformancePayloadSchema));
      if (timing?.case === "afterNumResponses" && timing.value === result.payloads.length)
        caller.abort();
      turns.answer();
    }
  } catch (thrown) {
    const error = ConnectError.from(thrown, Code.Unknown);
    result.error = create(ErrorSchema, {
      code: error.code as number as SuiteCode,
      message: error.rawMessage,
      details: error.details.flatMap((detail) =>
        "type" in detail
          ? [{ typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value }]
          : [],
      ),
    });
    result.responseTrailers = toSuite(error.metadata);
  } finally {
    turns.end();
  }
  return result;
}

async function* asMany(answer: ReturnType<AnyCall>) {
  if (answer instanceof Promise) yield await answer;
  else yield* answer;
}

/** In a full-duplex call each message waits for the answer to the one before. */
function conversation(fullDuplex: boolean) {
  let turn = Promise.withResolvers<void>();
  let ended = !fullDuplex;
  return {
    answered: async () => {
      if (ended) return;
      await turn.promise;
      turn = Promise.withResolvers();
    },
    answer: () => turn.resolve(),
    end: () => {
      ended = true;
      turn.resolve();
    },
  };
}

const underWay = new Set<Promise<void>>();
for await (const request of readMessages(ClientCompatRequestSchema)) {
  const task = perform(request)
    .then(
      (response) => ({ case: "response" as const, value: response }),
      (error: unknown) => ({ case: "error" as const, value: { message: String(error) } }),
    )
    .then((result) =>
      writeMessage(
        ClientCompatResponseSchema,
        create(ClientCompatResponseSchema, { testName: request.testName, result }),
      ),
    )
    .finally(() => underWay.delete(task));
  underWay.add(task);
  if (underWay.size >= AT_ONCE) await Promise.race(underWay);
}
await Promise.all(underWay);
