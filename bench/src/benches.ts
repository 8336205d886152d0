import { benchAuth } from "./auth/auth.js";
import { benchCheckout } from "./checkout/checkout.js";
import { benchCodec } from "./codec/codec.js";
import type { Bench } from "./ratios.js";
import { benchCompression } from "./compression/compression.js";
import { benchRest } from "./rest/rest.js";
import { benchGrowth } from "./growth/growth.js";
import { benchReserve } from "./reserve/reserve.js";
import { benchTelemetry } from "./telemetry/telemetry.js";
import { benchRpc } from "./rpc/rpc.js";
import { benchWatchers } from "./watchers/watchers.js";

/** Every bench, with what its page says that it compares. */
export const benches: Record<string, { bench: Bench; about: string }> = {
  auth: {
    bench: benchAuth,
    about:
      "What it costs a call to know who calls: mTLS over plaintext, and a token that was not seen before over one that was.",
  },
  checkout: {
    bench: benchCheckout,
    about:
      "Whole checkouts over gRPC, beside the same three services written the obvious way, and beside the same rows written by pgbench.",
  },
  codec: {
    bench: benchCodec,
    about:
      "CPU time of encoding and decoding: protobuf-es and protobufjs over the compiled codec, on the same bytes.",
  },
  compression: {
    bench: benchCompression,
    about:
      "Real orders over TLS to callers that take gzip and to callers that do not: bytes on the wire, and CPU time of the server.",
  },
  reserve: {
    bench: benchReserve,
    about:
      "Reserving stock: grouped, as the service does, beside a transaction for each, one statement for each, and pgbench.",
  },
  growth: {
    bench: benchGrowth,
    about:
      "What a call costs as the shop grows: processes, connections, products, lines of an order, orders in the table. Where flat is wanted, a cost may be one and a half times as much at the end.",
  },
  rest: {
    bench: benchRest,
    about:
      "Answers per CPU second of the server: gRPC by this engine over REST by Nest on Express and on Fastify, the same job with mTLS, kept connections and the same rules.",
  },
  rpc: {
    bench: benchRpc,
    about:
      "RPCs, and messages of streams of all three kinds, per CPU second of the server, the engine with everything on over other ways to serve the same contract. grpc-go is the reference from outside Node.",
  },
  telemetry: {
    bench: benchTelemetry,
    about:
      "What it costs a call to be seen: the engine with metrics, with a log line, with both, with a trace of one call in a hundred, of each, over the same without.",
  },
  watchers: {
    bench: benchWatchers,
    about:
      "A change of stock on its way to 10 to 10,000 open WatchStock streams (1,000 in a short run): CPU time of inventory for each message, and the delay until a watcher has it.",
  },
};
