import { constants, gzipSync } from "node:zlib";
import type { RealOrder } from "./real-orders.js";

/** As the engine does it (packages/grpc/src/compression.ts): fast rather than small. */
const gzip = (bytes: Buffer) => gzipSync(bytes, { level: constants.Z_BEST_SPEED });

/** What gzip makes of one message, and how many microseconds of CPU time it takes. */
export function gzipAlone({ bytes }: RealOrder, milliseconds: number) {
  let times = 0;
  const start = process.cpuUsage();
  for (const end = performance.now() + milliseconds; performance.now() < end; times++) gzip(bytes);
  const { system, user } = process.cpuUsage(start);
  return { bytes: gzip(bytes).length, micros: (system + user) / times };
}

/** From how many bytes on gzip makes a real order smaller: the first that it does, and the first after the last that it does not. */
export function smallerFrom(orders: RealOrder[]): { first: number; always: number } {
  const sizes = orders
    .map(({ bytes }) => ({ plain: bytes.length, saved: bytes.length - gzip(bytes).length }))
    .toSorted((one, other) => one.plain - other.plain);
  const lastLoss = sizes.findLastIndex(({ saved }) => saved <= 0);
  return {
    first: sizes.find(({ saved }) => saved > 0)?.plain ?? Number.NaN,
    always: sizes[lastLoss + 1]?.plain ?? Number.NaN,
  };
}
