import {
  StockChangeCause,
  StockChangedSchema,
  type StockLevelSchema,
} from "@emporium/contracts/inventory/v1";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { outboxEvent } from "@emporium/events";
import { PrismaClient } from "@emporium/inventory/prisma";
import { PrismaPg } from "@prisma/adapter-pg";
import type { Line } from "./orders.js";
import { CONNECTIONS, newReservationId, sorted, TTL_MS, type Way } from "./ways.js";

/** Prisma waits 2 s for a connection and 5 s for the work unless told; callers here wait in line. */
const PATIENCE = { maxWait: 60_000, timeout: 60_000 };

/**
 * What most would write with Prisma: look whether the id is known, change product by product in an
 * interactive transaction, write the reservation and its event. Fair: one UPDATE a line that adds
 * in the database and locks in SKU order, not a SELECT and an UPDATE.
 */
export function openInteractive(url: string): Way {
  const prisma = new PrismaClient({
    adapter: new PrismaPg({ connectionString: url, max: CONNECTIONS }),
  });
  return {
    reserve: (lines) => prisma.$transaction((tx) => reserve(tx as PrismaClient, lines), PATIENCE),
    [Symbol.asyncDispose]: () => prisma.$disconnect(),
  };
}

async function reserve(tx: PrismaClient, lines: Line[]): Promise<void> {
  const id = newReservationId();
  if (await tx.reservation.findUnique({ where: { id } })) return;
  const levels: MessageInitShape<typeof StockLevelSchema>[] = [];
  for (const { sku, quantity } of sorted(lines)) {
    const { onHand, reserved, stockRevision } = await tx.product.update({
      where: { sku },
      data: { reserved: { increment: quantity }, stockRevision: { increment: 1 } },
    });
    if (reserved > onHand) throw new Error(`${sku} is out of stock`);
    levels.push({ sku, onHand, reserved, available: onHand - reserved, revision: stockRevision });
  }
  const now = new Date();
  await tx.reservation.create({
    data: {
      id,
      state: "HELD",
      lines: lines.map(({ sku, quantity }) => ({ sku, quantity: Number(quantity) })),
      shortages: [],
      createTime: now,
      expireTime: new Date(now.getTime() + TTL_MS),
    },
  });
  const message = { cause: StockChangeCause.RESERVED, referenceId: id, levels };
  const { headers, ...event } = outboxEvent(StockChangedSchema, {
    aggregateId: id,
    version: 1n,
    message,
  });
  await tx.outbox.create({
    data: { ...event, payload: new Uint8Array(event.payload), headers: headers ?? {} },
  });
}
