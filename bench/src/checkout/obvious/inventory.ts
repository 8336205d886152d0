import {
  InventoryService,
  ReservationState,
  StockChangeCause,
  StockChangedSchema,
  type StockLine,
} from "@emporium/contracts/inventory/v1";
import { outboxEvent } from "@emporium/events";
import { type Product, PrismaClient } from "@emporium/inventory/prisma";
import { openService, type Start, toData } from "./service.js";

export async function inventory(start: Start) {
  const { server, prisma, transaction } = await openService(
    start,
    "inventory",
    (adapter) => new PrismaClient({ adapter }),
  );

  /** Changes product by product; all of them lock in SKU order, so that none waits in a circle. */
  async function move(
    tx: PrismaClient,
    reservation: { id: string; version: number; cause: StockChangeCause },
    lines: { sku: string; quantity: number }[],
    sold: boolean,
  ): Promise<void> {
    const levels = [];
    for (const { sku, quantity } of lines.toSorted((a, b) => (a.sku < b.sku ? -1 : 1))) {
      const product = await tx.product.update({
        where: { sku },
        data: {
          onHand: { decrement: sold ? quantity : 0 },
          reserved: { increment: sold ? -quantity : quantity },
          stockRevision: { increment: 1 },
        },
      });
      if (product.reserved > product.onHand) throw new Error(`${sku} is out of stock`);
      levels.push(levelOf(product));
    }
    const { id, version, cause } = reservation;
    const message = { cause, referenceId: id, levels };
    await tx.outbox.create({
      data: toData(outboxEvent(StockChangedSchema, { aggregateId: id, version, message })),
    });
  }

  server.addService(InventoryService, {
    async checkStock({ skus }) {
      const products = await prisma.product.findMany({ where: { sku: { in: skus } } });
      const items = products.map((product) => ({
        product: { sku: product.sku, title: product.title, unitPrice: priceOf(product) },
        level: levelOf(product),
      }));
      return { items };
    },

    async reserveStock({ reservationId: id, lines }) {
      const stored = lines.map(toStored);
      const now = new Date();
      await transaction(async (tx) => {
        if (await tx.reservation.findUnique({ where: { id } })) return;
        await move(tx, { id, version: 1, cause: StockChangeCause.RESERVED }, stored, false);
        const expireTime = new Date(now.getTime() + 15 * 60_000);
        const times = { createTime: now, expireTime };
        await tx.reservation.create({
          data: { id, state: "HELD", lines: stored, shortages: [], ...times },
        });
      });
      return { reservation: { reservationId: id, state: ReservationState.HELD, lines } };
    },

    async commitReservation({ reservationId: id }) {
      await transaction(async (tx) => {
        const reservation = await tx.reservation.findUniqueOrThrow({ where: { id } });
        if (reservation.state === "COMMITTED") return;
        if (reservation.state !== "HELD") throw new Error(`${id} is not held`);
        const lines = reservation.lines as unknown as ReturnType<typeof toStored>[];
        await move(tx, { id, version: 2, cause: StockChangeCause.COMMITTED }, lines, true);
        await tx.reservation.update({ where: { id }, data: { state: "COMMITTED" } });
      });
      return { reservation: { reservationId: id, state: ReservationState.COMMITTED } };
    },
  });
  return server;
}

const toStored = ({ sku, quantity }: StockLine) => ({ sku, quantity: Number(quantity) });

function levelOf({ sku, onHand, reserved, stockRevision }: Product) {
  return { sku, onHand, reserved, available: onHand - reserved, revision: stockRevision };
}

function priceOf({ unitPrice }: Product) {
  const pence = unitPrice ?? 0n;
  return {
    currencyCode: "GBP",
    units: pence / 100n,
    nanos: Number(pence % 100n) * 10_000_000,
  };
}
