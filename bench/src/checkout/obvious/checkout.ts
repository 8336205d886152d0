import {
  type CartLine,
  CheckoutAdvancedSchema,
  CheckoutService,
  CheckoutState,
  CheckoutStepKind,
} from "@emporium/contracts/checkout/v1";
import { InventoryService, type StockItem } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { PrismaClient } from "@emporium/checkout/prisma";
import { outboxEvent } from "@emporium/events";
import { createGrpcClient } from "@emporium/grpc";
import { requireOwner } from "@emporium/identity";
import { relatedId } from "@emporium/runtime";
import { openService, type Start, toData } from "./service.js";

type StepName =
  "STOCK_RESERVED" | "PAYMENT_AUTHORIZED" | "ORDER_CREATED" | "STOCK_COMMITTED" | "COMPLETED";

export async function checkout(start: Start) {
  const { server, toOthers, prisma, transaction } = await openService(
    start,
    "checkout",
    (adapter) => new PrismaClient({ adapter }),
  );
  const inventory = createGrpcClient(InventoryService, {
    address: start.inventoryAddress,
    ...toOthers("inventory"),
  });
  const orders = createGrpcClient(OrderService, {
    address: start.ordersAddress,
    ...toOthers("orders"),
  });

  /** Writes each step down when it is done, with its event. */
  const did = (checkoutId: string, kind: StepName) =>
    transaction(async (tx) => {
      const row = await tx.checkout.findUniqueOrThrow({ where: { checkoutId } });
      const steps = [...(row.steps as object[]), { kind, time: new Date().toISOString() }];
      const ended = kind === "COMPLETED" ? { state: kind, endTime: new Date() } : {};
      await tx.checkout.update({ where: { checkoutId }, data: { steps, ...ended } });
      const data = advanced(checkoutId, steps.length, CheckoutStepKind[kind]);
      await tx.outbox.create({ data });
    });

  const pay = (paymentId: string, kind: "authorize" | "capture", amount: bigint) =>
    prisma.paymentLedgerEntry.create({
      data: {
        paymentId,
        kind,
        reference: paymentId,
        amount,
        currency: "GBP",
        createTime: new Date(),
      },
    });

  server.addService(CheckoutService, {
    async completeOrder({ checkoutId, customerId, basket }) {
      requireOwner(customerId);
      if (await prisma.checkout.findUnique({ where: { checkoutId } }))
        throw new Error(`${checkoutId} is known`);
      const cart = basket.case === "cart" ? basket.value.lines : [];
      const { items } = await inventory.checkStock({ skus: cart.map(({ sku }) => sku) });
      const { lines, total } = priced(cart, items);
      await transaction(async (tx) => {
        await tx.checkout.create({ data: startedRow({ checkoutId, customerId, lines, total }) });
        await tx.outbox.create({ data: advanced(checkoutId, 1, CheckoutStepKind.STARTED) });
      });
      const [reservationId, orderId, paymentId] = ["rsv", "ord", "pay"].map((prefix) =>
        relatedId(prefix, checkoutId),
      ) as [string, string, string];
      await inventory.reserveStock({ reservationId, lines });
      await did(checkoutId, "STOCK_RESERVED");
      await pay(paymentId, "authorize", total);
      await did(checkoutId, "PAYMENT_AUTHORIZED");
      await orders.createOrder({ orderId, checkoutId, customerId, lines });
      await did(checkoutId, "ORDER_CREATED");
      await inventory.commitReservation({ reservationId });
      await did(checkoutId, "STOCK_COMMITTED");
      await pay(paymentId, "capture", total);
      await did(checkoutId, "COMPLETED");
      return { checkout: { checkoutId, customerId, orderId, state: CheckoutState.COMPLETED } };
    },
  });
  return server;
}

/** The event that tells of a step. */
function advanced(checkoutId: string, version: number, kind: CheckoutStepKind) {
  const message = { step: { sequence: version, kind }, checkout: { checkoutId } };
  return toData(outboxEvent(CheckoutAdvancedSchema, { aggregateId: checkoutId, version, message }));
}

/** The cart at list prices, and what it costs in pence. */
function priced(cart: CartLine[], items: StockItem[]) {
  const products = new Map(items.map(({ product }) => [product!.sku, product!]));
  const lines = cart.map(({ sku, quantity }) => {
    const { title, unitPrice } = products.get(sku)!;
    return { sku, title, quantity, unitPrice: unitPrice! };
  });
  const total = lines.reduce(
    (sum, { quantity, unitPrice: { units, nanos } }) =>
      sum + quantity * (units * 100n + BigInt(nanos / 10_000_000)),
    0n,
  );
  return { lines, total };
}

function startedRow(bought: {
  checkoutId: string;
  customerId: string;
  lines: ReturnType<typeof priced>["lines"];
  total: bigint;
}) {
  const now = new Date();
  return {
    ...bought,
    lines: bought.lines.map(({ sku, title, quantity }) => ({
      sku,
      title,
      quantity: Number(quantity),
    })),
    currency: "GBP",
    steps: [{ kind: "STARTED", time: now.toISOString() }],
    contentHash: new Uint8Array(32),
    createTime: now,
    leaseOwner: "00000000-0000-0000-0000-000000000000",
    leaseUntil: now,
  };
}
