import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { ConnectError, Interceptor } from "@connectrpc/connect";
import { decode, encode } from "@emporium/codec";
import type * as grpc from "@grpc/grpc-js";
import { compress, type Frame, mayCompress } from "./compression.js";
import { deprecationOf, warn, warningOf } from "./deprecation.js";
import { IncomingMessages, OneRequest, tooLong } from "./incoming.js";
import {
  type AnyHandler,
  asMessage,
  type InvokeMany,
  type InvokeOne,
  invokeBidi,
  invokeClientStream,
  invokeServerStream,
  invokeUnary,
} from "./invoke.js";
import { decodeRequest, RefusedRequest } from "./contract/request-decoder.js";
import type { Answer } from "./nest-result.js";
import { toConnectError } from "./exceptions.js";
import { policyOf } from "./policy.js";
import { type CallSurroundings, RunningCall, type WireCall } from "./running-call.js";
import { toStatus } from "./status.js";
import type { ReadableMetadata } from "./wire/request-metadata.js";

/** What a handler needs of the server around it. */
export interface ServeOptions extends CallSurroundings {
  readonly interceptors: Interceptor[];
  /** Says no to a call that must not get in. */
  readonly refusal?: () => ConnectError | undefined;
}

/** What `Server.register` of grpc-js takes for one method. */
export interface Registration {
  readonly path: string;
  readonly handler: () => never;
  readonly serialize: (frame: Frame) => Buffer;
  readonly deserialize: (bytes: Buffer) => Message | RefusedRequest;
  readonly type: "unary" | "clientStream" | "serverStream" | "bidi";
  /** The same, for our own HTTP/2. */
  readonly listen: Listen;
}

/** Hears what a call brings, from its headers on. */
type Listener = Parameters<grpc.ServerInterceptingCallInterface["start"]>[0];
type Listen = (call: WireCall) => Listener;

/** Who listens to the calls of a method, by the function that grpc-js tells the method by. */
const listeners = new WeakMap<(bytes: Buffer) => unknown, Listen>();

/**
 * Takes calls over from grpc-js before it makes a Node stream of each and an event of everything: the
 * interceptor of every grpc-js server whose methods come from `serve` (gRFC L112). Other methods of the
 * server are left to grpc-js.
 */
export const takeOver: grpc.ServerInterceptor = (method, call) => {
  const listen = listeners.get(method.requestDeserialize);
  if (!listen) return call as grpc.ServerInterceptingCall;
  // grpc-js starts what is returned, and asks nothing else of it.
  return { start: () => call.start(listen(call)) } as unknown as grpc.ServerInterceptingCall;
};

/** Binds one handler to the wire. */
export function serve(
  method: DescMethod,
  handler: AnyHandler,
  options: ServeOptions,
): Registration {
  const { path, gzip } = policyOf(method);
  if (gzip) mayCompress(path);
  // Compiles the codec of both, so that no caller waits for it.
  decodeRequest(method.input, new Uint8Array(0));
  decode(method.output, new Uint8Array(0));
  const deserialize = (bytes: Buffer) => decodeRequest(method.input, bytes);
  const [type, listen] = listenerOf(method, handler, options);
  listeners.set(deserialize, listen);
  return {
    path,
    type,
    listen,
    deserialize,
    // grpc-js takes what it is given for a Buffer, and uses no more of it than a Frame has.
    serialize: (frame) => frame as Buffer,
    handler() {
      throw new Error(`The server of ${path} was made without the interceptor takeOver`);
    },
  };
}

function listenerOf(
  method: DescMethod,
  handler: AnyHandler,
  options: ServeOptions,
): [type: Registration["type"], Listen] {
  const { interceptors } = options;
  switch (method.methodKind) {
    case "unary": {
      const answer = answerOne(method, invokeUnary(method, handler, interceptors), options);
      return ["unary", (call) => new OneRequest(call, answer)];
    }
    case "client_streaming": {
      const invoke = invokeClientStream(method, handler, interceptors);
      const answer = answerOne(method, invoke, options);
      return ["clientStream", (call) => new IncomingMessages(method, call, answer)];
    }
    case "server_streaming": {
      const invoke = invokeServerStream(method, handler, interceptors);
      const answer = answerMany(method, invoke, options);
      return ["serverStream", (call) => new OneRequest(call, answer)];
    }
    case "bidi_streaming": {
      const answer = answerMany(method, invokeBidi(method, handler, interceptors), options);
      return ["bidi", (call) => new IncomingMessages(method, call, answer)];
    }
  }
}

/** Begins a call whose headers, and whose request where it has but one, are there. */
export type Begin<Input> = (
  call: WireCall,
  metadata: ReadableMetadata,
  input: Input | RefusedRequest,
) => RunningCall | undefined;

function begin<Input>(
  method: DescMethod,
  options: ServeOptions,
  awaitsAnswer: boolean,
  work: (running: RunningCall, input: Input) => Promise<void>,
): Begin<Input> {
  return (call, metadata, input) => {
    const refusal = options.refusal?.();
    if (refusal) {
      call.sendStatus(toStatus(refusal));
      return undefined;
    }
    const running = startCall(method, call, metadata, options, awaitsAnswer);
    if (!running) return undefined;
    running
      .run(async () => {
        if (input instanceof RefusedRequest) throw input.error;
        return work(running, input);
      })
      .catch((error: unknown) => running.run(() => running.fail(error)));
    return running;
  };
}

/** A call that cannot even begin, for what an observer throws, ends alone. */
function startCall(
  method: DescMethod,
  call: WireCall,
  metadata: ReadableMetadata,
  options: ServeOptions,
  awaitsAnswer: boolean,
): RunningCall | undefined {
  try {
    return new RunningCall(method, call, metadata, options, awaitsAnswer);
  } catch (error) {
    call.sendStatus(toStatus(toConnectError(error, options.log)));
    return undefined;
  }
}

function answerOne<Input>(method: DescMethod, invoke: InvokeOne<Input>, options: ServeOptions) {
  return begin<Input>(method, options, true, async (running, input) => {
    const message = await invoke(input, running.context);
    const bytes = encode(method.output, asMessage(method, message));
    const frame = running.gzip ? await compress(bytes) : bytes;
    if (!running.finish()) return;
    sendHeaders(running, frame !== bytes);
    running.call.sendMessage(frame, nothing);
    // Without a wait for the message to be gone, all of the answer leaves in one piece.
    running.call.sendStatus(success(running));
  });
}

/** Bytes that may wait for the network before a handler has to. */
const MOST_WAITING = 64 * 1024;

function answerMany<Input>(method: DescMethod, invoke: InvokeMany<Input>, options: ServeOptions) {
  const { maxResponses } = policyOf(method);
  return begin<Input>(method, options, false, async (running, input) => {
    let waiting = 0;
    let resume: (() => void) | undefined;
    const write = async (answer: Answer) => {
      const messages = answer.messages[Symbol.asyncIterator]();
      // A handler that is stuck learns of the end by its signal; this makes its `finally` run as well.
      running.onFinish = () => {
        resume?.();
        answer.abandon();
        void messages.return?.()?.catch(() => {});
      };
      for (let count = 0; !running.finished; count++) {
        const { done, value } = await messages.next();
        if (running.finished) return;
        if (count === 0) sendHeaders(running, running.gzip);
        if (done) return answer.complete();
        if (count === maxResponses) throw tooLong("responses", maxResponses);
        const bytes = encode(method.output, asMessage(method, value));
        const frame = running.gzip ? await compress(bytes) : bytes;
        const { byteLength } = frame;
        waiting += byteLength;
        running.call.sendMessage(frame, () => {
          waiting -= byteLength;
          if (waiting < MOST_WAITING) resume?.();
        });
        if (waiting >= MOST_WAITING) await new Promise<void>((gone) => (resume = gone));
      }
    };
    const stream = await invoke(input, running.context);
    await write(stream).catch((error: unknown) => stream.fail(error));
    if (running.finish()) running.call.sendStatus(success(running));
  });
}

function nothing(): void {}

/** Response headers, where there are any; grpc-js sends its own with the first message. */
function sendHeaders(running: RunningCall, gzip: boolean): void {
  const { call, context } = running;
  if (context.headersSent) return;
  context.headersSent = true;
  const deprecation = deprecationOf(context.method);
  if (!gzip && !context.headersToSend) {
    if (deprecation) call.sendMetadata(warningOf(deprecation));
    return;
  }
  if (deprecation) warn(context.responseHeader, deprecation);
  const metadata = running.sendable(context.headersToSend ?? new Headers());
  if (gzip) metadata.set("grpc-encoding", "gzip");
  call.sendMetadata(metadata);
}

/** gRPC has no words for success. */
function success(running: RunningCall) {
  const { trailersToSend } = running.context;
  return {
    code: 0,
    details: "",
    metadata: trailersToSend ? running.sendable(trailersToSend) : null,
  };
}
