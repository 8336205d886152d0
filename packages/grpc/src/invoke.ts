import {
  create,
  type DescMessage,
  type DescMethod,
  isMessage,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import type { CallContext } from "./call-context.js";
import { type Answer, onlyMessage, plainAnswer, streamAnswer } from "./nest-result.js";
import { validateMessage } from "./validation.js";

/** A handler as Nest (guards, pipes, interceptors, filters around it) or anyone else gives it. */
export type AnyHandler = (input: unknown, context: CallContext) => unknown;

/** Calls a handler that answers with one message. */
export type InvokeOne<Input> = (input: Input, context: CallContext) => Promise<object>;
/** Calls a handler that answers with a stream. */
export type InvokeMany<Input> = (input: Input, context: CallContext) => Promise<Answer>;

type AnyFn = ReturnType<Interceptor>;

/** One message in, one out: interceptors, then validation, then the handler. */
export function invokeUnary(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeOne<Message> {
  const direct: InvokeOne<Message> = (message, context) => {
    validateMessage(method.input, message);
    return onlyMessage(handler(message, context));
  };
  if (interceptors.length === 0) return direct;
  return async (message, context) => {
    const chain = layered(interceptors, async (request) => {
      const answer = asMessage(method, await direct(request.message as Message, context));
      return responseOf(context, false, answer) as never;
    });
    return (await chain(requestOf(context, false, message) as UnaryRequest)).message;
  };
}

/** Any messages in, one out. */
export function invokeClientStream(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeOne<AsyncIterable<Message>> {
  if (interceptors.length === 0)
    return async (messages, context) => onlyMessage(handler(messages, context));
  const many = intercepted(method, interceptors, async (messages, context) =>
    plainAnswer(just(await onlyMessage(handler(messages, context)))),
  );
  return async (messages, context) => {
    const [answer] = await Array.fromAsync((await many(messages, context)).messages);
    if (!answer) throw new Error(`An interceptor of ${method.name} dropped the answer`);
    return answer;
  };
}

/** One message in, any out. */
export function invokeServerStream(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeMany<Message> {
  const direct: InvokeMany<Message> = async (message, context) => {
    validateMessage(method.input, message);
    return streamAnswer(handler(message, context), context);
  };
  if (interceptors.length === 0) return direct;
  const many = intercepted(method, interceptors, async (messages, context) => {
    const [message] = await Array.fromAsync(messages);
    if (!message) throw new Error(`An interceptor of ${method.name} dropped the request`);
    return direct(message, context);
  });
  return (message, context) => many(just(message), context);
}

/** Any messages in, any out. */
export function invokeBidi(
  method: DescMethod,
  handler: AnyHandler,
  interceptors: Interceptor[],
): InvokeMany<AsyncIterable<Message>> {
  const direct: InvokeMany<AsyncIterable<Message>> = async (messages, context) =>
    streamAnswer(handler(messages, context), context);
  return interceptors.length === 0 ? direct : intercepted(method, interceptors, direct);
}

/** The value as a message of what the method answers with. */
export function asMessage(method: DescMethod, value: object): Message {
  return isMessage(value, method.output)
    ? value
    : create(method.output, value as MessageInitShape<DescMessage>);
}

/** Interceptors around a streaming handler. They see messages, and any error while they are read. */
function intercepted(
  method: DescMethod,
  interceptors: Interceptor[],
  direct: InvokeMany<AsyncIterable<Message>>,
): InvokeMany<AsyncIterable<Message>> {
  return async (messages, context) => {
    const chain = layered(interceptors, async (request) => {
      const answer = await direct(request.message as AsyncIterable<Message>, context);
      return responseOf(context, true, read(method, answer)) as never;
    });
    const request = requestOf(context, true, messages) as StreamRequest;
    return plainAnswer((await chain(request)).message as AsyncIterable<Message>);
  };
}

async function* read(method: DescMethod, answer: Answer) {
  try {
    for await (const message of answer.messages) yield asMessage(method, message);
    await answer.complete();
  } catch (error) {
    await answer.fail(error);
  } finally {
    answer.abandon();
  }
}

async function* just<T>(value: T) {
  yield value;
}

function layered(interceptors: Interceptor[], core: AnyFn): AnyFn {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), core);
}

/** What interceptors see of a call. Headers and signal cost something: they are made when asked for. */
function requestOf(context: CallContext, stream: boolean, message: unknown) {
  return {
    stream,
    message,
    service: context.service,
    method: context.method,
    requestMethod: context.requestMethod,
    url: context.url,
    get signal() {
      return context.signal;
    },
    get header() {
      return context.requestHeader;
    },
    get contextValues() {
      return context.values;
    },
  };
}

function responseOf(context: CallContext, stream: boolean, message: unknown) {
  return {
    stream,
    message,
    service: context.service,
    method: context.method,
    get header() {
      return context.responseHeader;
    },
    get trailer() {
      return context.responseTrailer;
    },
  };
}
