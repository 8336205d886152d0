import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ListOrdersRequestSchema } from "@emporium/contracts/orders/v1";
import { certificatesFor } from "../certificates.js";
import { inTurn } from "../in-turn.js";
import { type Bench, cpuRatio, median, type Ratio, ratio } from "../ratios.js";
import { order, scenarios } from "../rpc/subject.js";
import { bytesOf, cpuOf, type Measure, pin, ServerProcess } from "../server-process.js";
import { report } from "../report.js";
import { table } from "../table.js";
import { grpcOverTls, httpOverTls, type WireClient, wireLoad } from "../wire.js";

const list = (fields: MessageInitShape<typeof ListOrdersRequestSchema>) =>
  toBinary(ListOrdersRequestSchema, create(ListOrdersRequestSchema, fields));

/** The same job, by its path in gRPC and in REST. */
const jobs = {
  "one order": {
    callers: 64,
    grpc: scenarios["order unary"],
    rest: { path: `/v1/orders/${order.orderId}` },
  },
  "a page of 100 orders": {
    callers: 16,
    grpc: {
      path: "/emporium.orders.v1.OrderService/ListOrders",
      request: list({ pageSize: 100 }),
    },
    rest: { path: "/v1/orders?pageSize=100" },
  },
  "an order of a stream": {
    callers: 4,
    grpc: scenarios["server stream"],
    rest: { path: "/v1/orders:export", lines: true },
  },
};

/** gRPC beside Nest's REST on the same job: mTLS, kept connections, no compression, the same rules. */
export const benchRest: Bench = async ({
  quick,
  rounds = quick ? 2 : 7,
  seconds = quick ? 0.3 : 1,
  progress,
}) => {
  const pinned = pin(process.pid, 1);
  await using stack = new AsyncDisposableStack();
  const { folder, files } = await certificatesFor(stack);
  const start = async (script: string, ...more: string[]) =>
    stack.use(
      await ServerProcess.start({
        program: join(import.meta.dirname, script),
        arguments: [...more, folder],
        streamMessages: 1_000,
      }),
    );
  const servers = {
    grpc: await start("grpc-server.js"),
    express: await start("http-server.js", "express"),
    fastify: await start("http-server.js", "fastify"),
  };
  const measured = new Map<string, Record<keyof typeof servers, Measure[]>>();
  for (const [name, { callers, grpc, rest }] of Object.entries(jobs)) {
    using clients = new DisposableStack();
    const variant = (server: ServerProcess, client: WireClient) => {
      clients.use(client);
      return { server, call: () => wireLoad(client, callers, seconds * 1000) };
    };
    const variants = {
      grpc: variant(
        servers.grpc,
        grpcOverTls(servers.grpc.port, files, { ...grpc, accept: "identity" }),
      ),
      express: variant(servers.express, httpOverTls(servers.express.port, files, rest, callers)),
      fastify: variant(servers.fastify, httpOverTls(servers.fastify.port, files, rest, callers)),
    };
    for (const { server, call } of Object.values(variants)) if (!quick) await server.warmUp(call);
    measured.set(name, await inTurn(variants, rounds, (round) => progress(`${name}: ${round}`)));
  }
  return reportOf(measured, pinned);
};

function reportOf(measured: Map<string, Record<string, Measure[]>>, pinned: boolean) {
  const ratios: Record<string, Ratio> = {};
  const rows: string[][] = [];
  for (const [job, { grpc = [], ...others }] of measured) {
    for (const [name, measures] of Object.entries({ grpc, ...others }))
      rows.push([
        `${job}, ${name}`,
        median(cpuOf(measures)).toFixed(1),
        median(measures.map(({ rate }) => rate)).toFixed(0),
        median(measures.map(({ p50Ms }) => p50Ms)).toFixed(2),
        median(measures.map(({ p99Ms }) => p99Ms)).toFixed(2),
        median(bytesOf(measures)).toFixed(0),
      ]);
    for (const [name, measures] of Object.entries(others)) {
      ratios[`gRPC over REST on ${name}, ${job}`] = cpuRatio(cpuOf(measures), cpuOf(grpc));
      ratios[`bytes on the wire, REST on ${name} over gRPC, ${job}`] = ratio(
        bytesOf(measures),
        bytesOf(grpc),
      );
    }
  }
  const found = table({
    title: "gRPC and REST on the same job, by server",
    columns: ["job", "CPU us", "a second", "p50 ms", "p99 ms", "bytes on the wire"],
    rows,
    verdict:
      "An order of five lines; CPU time and bytes are for one answer, or one order of a stream, rates are those of one server core and of a caller on another.",
  });
  return report({ tables: [found], ratios, pinned });
}
