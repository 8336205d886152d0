import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { ExportOrdersRequestSchema, GetOrderRequestSchema } from "@emporium/contracts/orders/v1";
import { certificatesFor } from "../certificates.js";
import { inTurn } from "../in-turn.js";
import { type Bench, cpuRatio, median, type Ratio, ratio } from "../ratios.js";
import { bytesOf, cpuOf, type Measure, pin, ServerProcess } from "../server-process.js";
import { report } from "../report.js";
import { table } from "../table.js";
import { grpcOverTls, wireLoad } from "../wire.js";
import { gzipAlone, smallerFrom } from "./gzip-alone.js";
import { idAt, type RealOrder, realOrders } from "./real-orders.js";

/** Bytes of GetOrder's answer; of each the real order is taken that comes nearest. */
const SIZES = [250, 500, 1_000, 1_100, 2_000, 4_000, 8_000, 31_000, 40_000];

const GET_ORDER = "/emporium.orders.v1.OrderService/GetOrder";
const EXPORT_ORDERS = "/emporium.orders.v1.OrderService/ExportOrders";
const exportAll = toBinary(ExportOrdersRequestSchema, create(ExportOrdersRequestSchema));

/** What is asked for, and how large its answers are on average. */
interface Subject {
  name: string;
  path: string;
  request: Uint8Array;
  bytes: number;
  callers: number;
  /** The one order that is answered; absent for the stream. */
  order?: RealOrder;
}

/**
 * Real orders to callers that take gzip and to callers that do not, over TLS: what the contract's
 * policy (docs/adr/0004) makes of each size.
 */
export const benchCompression: Bench = async ({
  quick,
  rounds = quick ? 2 : 5,
  seconds = quick ? 0.15 : 0.7,
  progress,
}) => {
  const pinned = pin(process.pid, 1);
  const orders = await realOrders();
  await using stack = new AsyncDisposableStack();
  const { folder, files } = await certificatesFor(stack);
  const server = stack.use(
    await ServerProcess.start({
      program: join(import.meta.dirname, "server.js"),
      arguments: [folder],
      streamMessages: orders.length,
    }),
  );
  const results: Result[] = [];
  for (const subject of subjectsOf(orders)) {
    const { name, path, request, callers, order } = subject;
    using identity = grpcOverTls(server.port, files, { path, request, accept: "identity" });
    using gzip = grpcOverTls(server.port, files, { path, request, accept: "gzip" });
    const by = (client: typeof gzip) => ({
      server,
      call: () => wireLoad(client, callers, seconds * 1000),
    });
    const measures = await inTurn({ identity: by(identity), gzip: by(gzip) }, rounds, (round) =>
      progress(`${name}: ${round}`),
    );
    results.push({
      subject,
      ...measures,
      ...(order && { alone: gzipAlone(order, seconds * 300) }),
    });
  }
  return reportOf(results, orders, pinned);
};

function subjectsOf(orders: RealOrder[]): Subject[] {
  const subjects = SIZES.map((size): Subject => {
    const distance = (order: RealOrder) => Math.abs(order.bytes.length - size);
    const order = orders.reduce((best, each) => (distance(each) < distance(best) ? each : best));
    const { bytes } = order;
    const orderId = idAt(orders.indexOf(order));
    return {
      name: `an order of ${order.order.lines.length} lines, ${bytes.length} bytes`,
      path: GET_ORDER,
      request: toBinary(GetOrderRequestSchema, create(GetOrderRequestSchema, { orderId })),
      bytes: bytes.length,
      callers: 32,
      order,
    };
  });
  const mean = orders.reduce((sum, { bytes }) => sum + bytes.length, 0) / orders.length;
  const name = `a stream of all ${orders.length} orders`;
  return [...subjects, { name, path: EXPORT_ORDERS, request: exportAll, bytes: mean, callers: 4 }];
}

interface Result {
  subject: Subject;
  identity: Measure[];
  gzip: Measure[];
  alone?: { bytes: number; micros: number };
}

function reportOf(results: Result[], orders: RealOrder[], pinned: boolean) {
  const ratios: Record<string, Ratio> = {};
  const rows = results.map(({ subject: { name, bytes }, identity, gzip, alone }) => {
    const smaller = ratio(bytesOf(identity), bytesOf(gzip));
    // What the engine leaves as it is was measured twice the same way.
    if (smaller.median > 1.05) {
      ratios[`bytes on the wire, identity over gzip, ${name}`] = smaller;
      ratios[`answers a CPU second, gzip over identity, ${name}`] = cpuRatio(
        cpuOf(identity),
        cpuOf(gzip),
      );
    }
    const saved = median(bytesOf(identity)) - median(bytesOf(gzip));
    const extra = median(cpuOf(gzip)) - median(cpuOf(identity));
    return [
      name,
      bytes.toFixed(0),
      median(bytesOf(identity)).toFixed(0),
      median(bytesOf(gzip)).toFixed(0),
      median(cpuOf(identity)).toFixed(1),
      median(cpuOf(gzip)).toFixed(1),
      alone?.bytes.toFixed(0) ?? "",
      alone?.micros.toFixed(1) ?? "",
      // Bits saved in a microsecond of work are megabits a second.
      smaller.median < 1.05 ? "as it is" : extra > 0 ? ((saved * 8) / extra).toFixed(0) : "any",
    ];
  });
  const { first, always } = smallerFrom(orders);
  const found = table({
    title: "What gzip does to real orders over TLS, where the contract's policy decides",
    columns: [
      "answer",
      "bytes",
      "on the wire, identity",
      "on the wire, gzip",
      "CPU us, identity",
      "CPU us, gzip",
      "gzip alone, bytes",
      "gzip alone, us",
      "pays below Mbit/s",
    ],
    rows,
    verdict: `gzip makes the first real order smaller at ${first} bytes, and every one from ${always} bytes on; the engine leaves messages under 1,024 bytes as they are. On a network slower than the last column a caller has its answer sooner for the server's time of compressing.`,
  });
  return report({ tables: [found], ratios, pinned });
}
