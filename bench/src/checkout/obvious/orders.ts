import { toBinary, create } from "@bufbuild/protobuf";
import { OrderPlacedSchema, OrderSchema, OrderState } from "@emporium/contracts/orders/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { outboxEvent } from "@emporium/events";
import { requireOwner } from "@emporium/identity";
import { PrismaClient } from "@emporium/orders/prisma";
import { openService, type Start, toData } from "./service.js";

export async function orders(start: Start) {
  const { server, transaction } = await openService(
    start,
    "orders",
    (adapter) => new PrismaClient({ adapter }),
  );
  server.addService(OrderService, {
    async createOrder({ orderId, checkoutId, customerId, lines }) {
      requireOwner(customerId);
      const now = new Date();
      const priced = lines.map(({ sku, title, quantity, unitPrice }, index) => {
        const pence = unitPrice!.units * 100n + BigInt(unitPrice!.nanos / 10_000_000);
        return { orderId, lineNo: index + 1, sku, title, quantity, unitPrice: pence };
      });
      const total = priced.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0n);
      const order = create(OrderSchema, {
        orderId,
        checkoutId,
        customerId,
        state: OrderState.PLACED,
        lines: lines.map(({ sku, title, quantity, unitPrice }) => ({
          sku,
          title,
          quantity,
          ...(unitPrice && { unitPrice }),
        })),
        revision: 1n,
      });
      await transaction(async (tx) => {
        if (await tx.order.findUnique({ where: { orderId } })) return;
        const times = { createTime: now, updateTime: now, statusTime: now };
        const contentHash = new Uint8Array(32);
        await tx.order.create({
          data: { orderId, customerId, checkoutId, currency: "GBP", total, contentHash, ...times },
        });
        await tx.orderLine.createMany({ data: priced });
        const snapshot = toBinary(OrderSchema, order);
        await tx.orderChange.create({ data: { orderId, revision: 1n, snapshot } });
        const event = { aggregateId: orderId, version: 1, message: { order } };
        await tx.outbox.create({ data: toData(outboxEvent(OrderPlacedSchema, event)) });
      });
      return { order: { orderId, customerId, checkoutId } };
    },
  });
  return server;
}
