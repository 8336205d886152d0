// Handlers that forward a call, for each of the four kinds of methods.
import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type HandlerContext,
  type MethodImpl,
  type Transport,
} from "@connectrpc/connect";
import { addMetadata, metadataOf } from "../upstream/metadata.js";

/** A method of any kind, so that a `switch` on its kind narrows it. */
type AnyMethod = DescMethodUnary | DescMethodStreaming;

/**
 * The handler that sends a call on over the transport: deadline, cancellation, metadata, trailers and
 * error details pass unchanged, one message at a time.
 *
 * @example
 * router.service(OrderService, { getOrder: forward(OrderService.method.getOrder, transport) });
 */
export function forward(method: AnyMethod, transport: Transport): MethodImpl<DescMethod> {
  return handlerOf(method, transport) as MethodImpl<DescMethod>;
}

function handlerOf(method: AnyMethod, transport: Transport) {
  switch (method.methodKind) {
    case "unary":
      return unary(method, transport);
    case "server_streaming":
      return (request: Message, context: HandlerContext) =>
        messages(method, transport, just(request), context);
    case "client_streaming":
      return (requests: AsyncIterable<Message>, context: HandlerContext) =>
        onlyMessage(method, messages(method, transport, requests, context));
    case "bidi_streaming":
      return (requests: AsyncIterable<Message>, context: HandlerContext) =>
        messages(method, transport, requests, context);
  }
}

function unary(method: DescMethodUnary, transport: Transport) {
  return async (request: Message, context: HandlerContext): Promise<Message> => {
    try {
      const { signal, requestHeader } = context;
      const headers = metadataOf(requestHeader);
      const timeoutMs = leftMs(context);
      const response = await transport.unary(method, signal, timeoutMs, headers, request);
      addMetadata(response.header, context.responseHeader);
      addMetadata(response.trailer, context.responseTrailer);
      return response.message;
    } catch (error) {
      throw forwarded(error);
    }
  };
}

async function* messages(
  method: DescMethodStreaming,
  transport: Transport,
  requests: AsyncIterable<Message>,
  context: HandlerContext,
): AsyncGenerator<Message> {
  try {
    const { signal, requestHeader } = context;
    const headers = metadataOf(requestHeader);
    const timeoutMs = leftMs(context);
    const response = await transport.stream(method, signal, timeoutMs, headers, requests);
    addMetadata(response.header, context.responseHeader);
    yield* response.message;
    addMetadata(response.trailer, context.responseTrailer);
  } catch (error) {
    throw forwarded(error);
  }
}

async function onlyMessage(method: DescMethod, all: AsyncIterable<Message>): Promise<Message> {
  let only: Message | undefined;
  for await (const message of all) {
    if (only) throw new ConnectError(`${method.name} sent two responses`, Code.Unimplemented);
    only = message;
  }
  if (!only) throw new ConnectError(`${method.name} sent no response`, Code.Unimplemented);
  return only;
}

/** The error of the service, without the headers of the hop behind the gateway. */
function forwarded(error: unknown): ConnectError {
  const from = ConnectError.from(error);
  const result = new ConnectError(from.rawMessage, from.code, metadataOf(from.metadata));
  result.details = from.details;
  return result;
}

async function* just<T>(value: T) {
  yield value;
}

/** Milliseconds that the caller still waits; never 0, which would mean that it waits for ever. */
function leftMs(context: { timeoutMs(): number | undefined }): number | undefined {
  const timeoutMs = context.timeoutMs();
  return timeoutMs === undefined ? undefined : Math.max(1, timeoutMs);
}
