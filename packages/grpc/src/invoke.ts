import {
  create,
  type DescMessage,
  type DescMethod,
  isMessage,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import type { CallContext } from "./call-context.js";
import { engineFailure } from "./failure.js";
import { messageStream, onlyMessage } from "./nest-result.js";
import { type MethodPolicy, policyOf } from "./policy.js";
import { validateMessage } from "./validation.js";

/** A handler as Nest (guards, pipes, interceptors, filters around it) or anyone else gives it. */
export type AnyHandler = (input: unknown, context: CallContext) => unknown;

/** Calls a unary or client-streaming handler. */
export type InvokeOne<Input> = (input: Input, context: CallContext) => Promise<Message>;
/** Calls a server-streaming or bidirectional handler. */
export type InvokeMany<Input> = (input: Input, context: CallContext) => AsyncIterable<Message>;

type AnyFn = ReturnType<Interceptor>;

/** One message in, one out: interceptors, then validation, then the handler. */
export function invokeUnary(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeOne<Message> {
  const direct: InvokeOne<Message> = async (message, context) => {
    validateMessage(method.input, message);
    return asMessage(method, await onlyMessage(handler(message, context)));
  };
  if (interceptors.length === 0) return direct;
  const chain = (context: CallContext) =>
    layered(interceptors, async (request) => {
      const message = await direct(request.message as Message, context);
      return { ...responseParts(context, method), stream: false, message } as never;
    });
  return async (message, context) => {
    const request = { ...requestParts(context, method), stream: false, message } as UnaryRequest;
    return (await chain(context)(request)).message as Message;
  };
}

/** Any messages in, one out. */
export function invokeClientStream(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeOne<AsyncIterable<Message>> {
  const many = invokeStream(method, interceptors, async function* (messages, context) {
    yield asMessage(method, await onlyMessage(handler(messages, context)));
  });
  return async (messages, context) => {
    let answer: Message | undefined;
    for await (const message of many(messages, context)) answer = message;
    if (!answer) throw new Error(`${method.name} returned no message`);
    return answer;
  };
}

/** One message in, any out. */
export function invokeServerStream(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeMany<Message> {
  const many = invokeStream(method, interceptors, async function* (messages, context) {
    const [message] = await Array.fromAsync(messages);
    yield* outgoing(method, await messageStream(handler(message, context)));
  });
  return (message, context) => many(just(message), context);
}

/** Any messages in, any out. */
export function invokeBidi(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeMany<AsyncIterable<Message>> {
  return invokeStream(method, interceptors, async function* (messages, context) {
    yield* outgoing(method, await messageStream(handler(messages, context)));
  });
}

function invokeStream(
  method: DescMethod,
  interceptors: Interceptor[],
  work: InvokeMany<AsyncIterable<Message>>,
): InvokeMany<AsyncIterable<Message>> {
  const policy = policyOf(method);
  const direct: InvokeMany<AsyncIterable<Message>> = (messages, context) =>
    work(incoming(method, policy, messages), context);
  if (interceptors.length === 0) return direct;
  return async function* (messages, context) {
    const chain = layered(interceptors, (request) =>
      Promise.resolve({
        ...responseParts(context, method),
        stream: true,
        message: direct(request.message as AsyncIterable<Message>, context),
      } as never),
    );
    const request = {
      ...requestParts(context, method),
      stream: true,
      message: messages,
    } as StreamRequest;
    yield* (await chain(request)).message as AsyncIterable<Message>;
  };
}

/** Requests of a stream, each validated, and no more of them than the contract allows. */
async function* incoming(
  method: DescMethod,
  policy: MethodPolicy,
  messages: AsyncIterable<Message>,
) {
  let count = 0;
  for await (const message of messages) {
    if (++count > policy.maxRequests) throw tooLong("requests", policy.maxRequests);
    validateMessage(method.input, message);
    yield message;
  }
}

/** Responses of a stream, no more of them than the contract allows. */
async function* outgoing(method: DescMethod, messages: AsyncIterable<object>) {
  const { maxResponses } = policyOf(method);
  let count = 0;
  for await (const message of messages) {
    if (++count > maxResponses) throw tooLong("responses", maxResponses);
    yield asMessage(method, message);
  }
}

function tooLong(what: string, most: number) {
  const description = `at most ${most} ${what} in one call`;
  return engineFailure(EngineReason.STREAM_TOO_LONG, `The stream is too long: ${description}`, {
    violations: [{ subject: what, description }],
  });
}

function asMessage(method: DescMethod, value: object): Message {
  return isMessage(value, method.output)
    ? value
    : create(method.output, value as MessageInitShape<DescMessage>);
}

async function* just<T>(value: T) {
  yield value;
}

function layered(interceptors: Interceptor[], core: AnyFn): AnyFn {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), core);
}

function requestParts(context: CallContext, method: DescMethod) {
  return {
    service: method.parent,
    method,
    requestMethod: context.requestMethod,
    url: context.url,
    signal: context.signal,
    header: context.requestHeader,
    contextValues: context.values,
  };
}

function responseParts(context: CallContext, method: DescMethod) {
  return {
    service: method.parent,
    method,
    header: context.responseHeader,
    trailer: context.responseTrailer,
  };
}
