import { type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { ConnectError, Interceptor } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import type * as grpc from "@grpc/grpc-js";
import { CallContext, cancelled, deadlineExceeded } from "./call-context.js";
import { acceptsGzip, compress, type Frame, uncompressed } from "./compression.js";
import { type ErrorLog, toConnectError } from "./exceptions.js";
import { engineFailure } from "./failure.js";
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
import { toStatus } from "./status.js";

/** What a handler needs of the server around it. */
export interface ServeOptions {
  readonly interceptors: Interceptor[];
  readonly log: ErrorLog;
  /** Says no to a call that must not get in. */
  readonly refusal?: () => ConnectError | undefined;
  /** Calls that are under way, so that a drain can find them. */
  readonly calls: Set<RunningCall>;
}

/** A call that is under way. */
export interface RunningCall {
  readonly context: CallContext;
  /** Whether the caller waits for one answer, and so for the handler's end. */
  readonly awaitsAnswer: boolean;
  /** Ends it now. */
  end(error: ConnectError): void;
}

/** What the calls of all four kinds have in common. */
interface AnyCall extends NodeJS.EventEmitter {
  readonly metadata: grpc.Metadata;
  getDeadline(): grpc.Deadline;
  getPeer(): string;
  sendMetadata(metadata: grpc.Metadata): void;
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
        answerOne(method, call, callback, call as AsyncIterable<Message>, invoke, options);
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
        answerMany(method, call, call as AsyncIterable<Message>, invoke, options);
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
  const send = (error: ConnectError) => callback(toStatus(error));
  const refusal = options.refusal?.();
  if (refusal) return send(refusal);
  const running = begin(method, call, options, true, send);
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
  const running = begin(method, call, options, false, send);
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

/** Starts the clocks of a call and watches for its end, whichever comes first. */
function begin(
  method: DescMethod,
  call: AnyCall,
  options: ServeOptions,
  awaitsAnswer: boolean,
  send: (error: ConnectError) => void,
) {
  const { longestMs, gzip } = policyOf(method);
  const now = Date.now();
  const named = call.getDeadline();
  const callerDeadline = named instanceof Date ? named.getTime() : named;
  const context = new CallContext(
    method,
    call.metadata,
    Math.min(callerDeadline, now + longestMs),
    call.getPeer(),
  );
  const running = {
    context,
    awaitsAnswer,
    gzip: acceptsGzip(call.metadata) && gzip,
    finished: false,
    onFinish: undefined as (() => void) | undefined,
    /** True for the one who may send the answer. */
    finish(reason: unknown = cancelled()) {
      if (running.finished) return false;
      running.finished = true;
      clearTimeout(timer);
      options.calls.delete(running);
      context.abort(reason);
      running.onFinish?.();
      return true;
    },
    end(error: ConnectError) {
      if (running.finish(error)) send(error);
    },
    fail(error: unknown) {
      if (!running.finished) running.end(toConnectError(error, options.log));
    },
  };
  const timer =
    callerDeadline > now + longestMs
      ? setTimeout(() => running.end(tooLong(awaitsAnswer)), longestMs)
      : undefined;
  timer?.unref();
  options.calls.add(running);
  call.on("cancelled", () =>
    running.finish(Date.now() >= callerDeadline ? deadlineExceeded() : cancelled()),
  );
  return running;
}

/** The contract's `longest` is over: a stream can be resumed, an answer comes too late. */
function tooLong(awaitsAnswer: boolean): ConnectError {
  return awaitsAnswer
    ? engineFailure(EngineReason.TOO_SLOW, "The call took longer than its contract allows")
    : engineFailure(EngineReason.STREAM_EXPIRED, "The stream has lived its time; resume it", {
        retryDelay: { seconds: 0n },
      });
}
