import type { Readable } from "node:stream";
import { type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { ConnectError, Interceptor } from "@connectrpc/connect";
import type * as grpc from "@grpc/grpc-js";
import type { CallContext } from "./call-context.js";
import { compress, type Frame, uncompressed } from "./compression.js";
import {
  type AnyHandler,
  type InvokeMany,
  type InvokeOne,
  invokeBidi,
  invokeClientStream,
  invokeServerStream,
  invokeUnary,
} from "./invoke.js";
import { toMetadata } from "./metadata.js";
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
        answerOne(method, call, callback, requests(call), invoke, options);
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
        answerMany(method, call, requests(call), invoke, options);
      return { ...parts, type: "bidi", handler: handle as grpc.UntypedHandleCall };
    }
  }
}

/**
 * What the caller sends. A handler that stops reading, also by throwing, must not destroy the stream
 * under its own answer (grpc/grpc-node #1839).
 */
function requests(call: Readable): AsyncIterable<Message> {
  return call.iterator({ destroyOnReturn: false }) as AsyncIterable<Message>;
}

function answerOne<Input>(
  method: DescMethod,
  call: grpc.ServerUnaryCall<Message, Frame> | grpc.ServerReadableStream<Message, Frame>,
  callback: grpc.sendUnaryData<Frame>,
  input: Input,
  invoke: InvokeOne<Input>,
  options: ServeOptions,
): void {
  const send = (error: ConnectError) => callback(toStatus(error));
  const refusal = options.refusal?.();
  if (refusal) return send(refusal);
  const running = new RunningCall(method, call, options, true, send);
  const { context } = running;
  context
    .run(() => invoke(input, context))
    .then(async (message) => {
      const bytes = toBinary(method.output, message);
      const frame = running.gzip ? await compress(bytes) : uncompressed(bytes);
      if (!running.finish()) return;
      sendHeaders(call, context, running.gzip);
      callback(null, frame, context.trailersToSend && toMetadata(context.trailersToSend));
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
  const send = (error: ConnectError) =>
    void call.emit("error", Object.assign(new Error(error.rawMessage), toStatus(error)));
  const refusal = options.refusal?.();
  if (refusal) return send(refusal);
  let resume: (() => void) | undefined;
  call.on("drain", () => resume?.());
  const running = new RunningCall(method, call, options, false, send);
  const { context } = running;
  const write = async () => {
    const messages = invoke(input, context)[Symbol.asyncIterator]();
    // A handler that is stuck learns of the end by its signal; this makes its `finally` run as well.
    running.onFinish = () => {
      resume?.();
      void messages.return?.()?.catch(() => {});
    };
    let first = true;
    for (;;) {
      const { done, value } = await messages.next();
      if (running.finished) return;
      if (first) sendHeaders(call, context, running.gzip);
      first = false;
      if (done) break;
      const bytes = toBinary(method.output, value);
      if (!call.write(running.gzip ? await compress(bytes) : uncompressed(bytes)))
        await new Promise<void>((drained) => (resume = drained));
      if (running.finished) return;
    }
    if (running.finish()) call.end(context.trailersToSend && toMetadata(context.trailersToSend));
  };
  context.run(write).catch((error: unknown) => running.fail(error));
}

/** Response headers, where there are any; grpc-js sends its own with the first message. */
function sendHeaders(call: AnyCall, context: CallContext, gzip: boolean): void {
  if (!gzip && !context.headersToSend) return;
  const metadata = toMetadata(context.headersToSend ?? new Headers());
  if (gzip) metadata.set("grpc-encoding", "gzip");
  call.sendMetadata(metadata);
}
