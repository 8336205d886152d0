import type { Interceptor } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { trialClient } from "../trial-server.js";
import { trap } from "./trap.js";
import type { Serve } from "./transports.js";

const WHERE = "x-intercepted";

/** A grpc-js interceptor that leaves a header on every answer. */
const grpcInterceptor: grpc.ServerInterceptor = (_, call) =>
  new grpc.ServerInterceptingCall(call, {
    sendMetadata(metadata, next) {
      metadata.set(WHERE, "yes");
      next(metadata);
    },
  });

/** The same for Connect. */
const connectInterceptor: Interceptor = (next) => async (request) => {
  const answer = await next(request);
  answer.header.set(WHERE, "yes");
  return answer;
};

/** Which kinds of calls an interceptor has seen that is given as `interceptors`. */
const interceptedCalls = async (serve: Serve) => {
  await using served = await serve(
    {
      ask: () => ({}),
      async *read() {
        yield {};
      },
    },
    {
      nest: { interceptors: [grpcInterceptor] } as object,
      engine: { interceptors: [connectInterceptor] },
    },
  );
  using client = trialClient(served.address);
  const intercepted: string[] = [];
  const note = (kind: string) => (header: Headers) => {
    if (header.has(WHERE)) intercepted.push(kind);
  };
  await client.ask({}, { onHeader: note("unary") });
  await Array.fromAsync(client.read({}, { onHeader: note("stream") }));
  return intercepted;
};

trap(13, interceptedCalls, {
  nest: ["interceptors for calls are no option", []],
  engine: ["interceptors see unary calls and streams alike", ["unary", "stream"]],
});
