import { type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { ConnectError, Interceptor } from "@connectrpc/connect";
import type * as grpc from "@grpc/grpc-js";
import type { CallContext } from "./call-context.js";
import { compress, type Frame, uncompressed } from "./compression.js";
import { deprecationOf } from "./deprecation.js";
import { IncomingMessages, tooLong } from "./incoming.js";
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
import { toMetadata } from "./metadata.js";
import type { Answer } from "./nest-result.js";
import { policyOf } from "./policy.js";
import { type AnyCall, type CallSurroundings, RunningCall } from "./running-call.js";
import { toStatus } from "./status.js";

/** What a handler needs of the server around it. */
export interface ServeOptions extends CallSurroundings {
  readonly interceptors: Interceptor[];
  /** Says no to a call that must not get in. */
  readonly refusal?: () => ConnectError | undefined;
}

/** What `Server.register` of grpc-js takes for one method. */
export interface Registration {
  readonly path: string;
  readonly handler: grpc.UntypedHandleCall;
  readonly serialize: (frame: Frame) => Buffer;
  readonly deserialize: (bytes: Buffer) => Message;
  readonly type: "unary" | "clientStream" | "serverStream" | "bidi";
}

/** Binds one handler to the wire. */
export function serve(
  method: DescMethod,
  handler: AnyHandler,
  options: ServeOptions,
): Registration {
  const parts = {
    path: policyOf(method).path,
    // grpc-js takes what it is given for a Buffer, and uses no more of it than a Frame has.
    serialize: (frame: Frame) => frame as Buffer,
    deserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
  };
  switch (method.methodKind) {
    case "unary": {
      const invoke = invokeUnary(method, handler, options.interceptors);
      const handle: grpc.handleUnaryCall<Message, Frame> = (call, callback) =>
        answerOne(method, call, callback, call.request, invoke, options);
      return { ...parts, type: "unary", handler: handle as grpc.UntypedHandleCall };
    }
    case "client_streaming": {
      const invoke = invokeClientStream(method, handler, options.interceptors);
      const handle: grpc.handleClientStreamingCall<Message, Frame> = (call, callback) =>
        answerOne(method, call, callback, new IncomingMessages(method, call), invoke, options);
      return { ...parts, type: "clientStream", handler: handle as grpc.UntypedHandleCall };
    }
    case "server_streaming": {
      const invoke = invokeServerStream(method, handler, options.interceptors);
      const handle: grpc.handleServerStreamingCall<Message, Frame> = (call) =>
        answerMany(method, call, call.request, invoke, options);
      return { ...parts, type: "serverStream", handler: handle as grpc.UntypedHandleCall };
    }
    case "bidi_streaming": {
      const invoke = invokeBidi(method, handler, options.interceptors);
      const handle: grpc.handleBidiStreamingCall<Message, Frame> = (call) =>
        answerMany(method, call, new IncomingMessages(method, call), invoke, options);
      return { ...parts, type: "bidi", handler: handle as grpc.UntypedHandleCall };
    }
  }
}

function answerOne<Input>(
  method: DescMethod,
  call: grpc.ServerUnaryCall<Message, Frame> | grpc.ServerReadableStream<Message, Frame>,
  callback: grpc.sendUnaryData<Frame>,
  input: Input,
  invoke: InvokeOne<Input>,
  options: ServeOptions,
): void {
  const send = (error: ConnectError, trailers?: Headers) => callback(toStatus(error, trailers));
  const refusal = options.refusal?.();
  if (refusal) return send(refusal);
  const running = new RunningCall(method, call, options, true, send);
  const { context } = running;
  context
    .run(() => invoke(input, context))
    .then(async (message) => {
      const bytes = toBinary(method.output, asMessage(method, message));
      const frame = running.gzip ? await compress(bytes) : uncompressed(bytes);
      if (!running.finish()) return;
      sendHeaders(call, context, running.gzip);
      callback(null, frame, trailersOf(context));
    })
    .catch((error: unknown) => running.fail(error));
}

function answerMany<Input>(
  method: DescMethod,
  call: grpc.ServerWritableStream<Message, Frame> | grpc.ServerDuplexStream<Message, Frame>,
  input: Input,
  invoke: InvokeMany<Input>,
  options: ServeOptions,
): void {
  const send = (error: ConnectError, trailers?: Headers) =>
    void call.emit("error", Object.assign(new Error(error.rawMessage), toStatus(error, trailers)));
  const refusal = options.refusal?.();
  if (refusal) return send(refusal);
  let resume: (() => void) | undefined;
  call.on("drain", () => resume?.());
  const running = new RunningCall(method, call, options, false, (error) => {
    // Headers that a handler set are sent as such; a deprecation's go along with the trailers.
    if (!deprecationOf(method)) sendHeaders(call, context, false);
    send(error, context.trailersOfFailure);
  });
  const { context } = running;
  const { maxResponses } = policyOf(method);
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
      if (count === 0) sendHeaders(call, context, running.gzip);
      if (done) return answer.complete();
      if (count === maxResponses) throw tooLong("responses", maxResponses);
      const bytes = toBinary(method.output, asMessage(method, value));
      if (!call.write(running.gzip ? await compress(bytes) : uncompressed(bytes)))
        await new Promise<void>((drained) => (resume = drained));
    }
  };
  const answer = async () => {
    const stream = await invoke(input, context);
    await write(stream).catch((error: unknown) => stream.fail(error));
    if (running.finish()) call.end(trailersOf(context));
  };
  context.run(answer).catch((error: unknown) => running.fail(error));
}

/** Response headers, where there are any; grpc-js sends its own with the first message. */
function sendHeaders(call: AnyCall, context: CallContext, gzip: boolean): void {
  if (context.headersSent || (!gzip && !context.headersToSend)) return;
  context.headersSent = true;
  const metadata = toMetadata(context.headersToSend ?? new Headers());
  if (gzip) metadata.set("grpc-encoding", "gzip");
  call.sendMetadata(metadata);
}

/** grpc-js says "OK" in words with every success, which gRPC leaves out; this says it in none. */
const wordless = toMetadata(new Headers({ "grpc-message": "" }));

function trailersOf({ trailersToSend }: CallContext): grpc.Metadata {
  return trailersToSend ? toMetadata(trailersToSend, wordless.clone()) : wordless;
}
