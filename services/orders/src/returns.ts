import { InventoryService } from "@emporium/contracts/inventory/v1";
import { ItemsReturnedSchema } from "@emporium/contracts/orders/v1";
import {
  Reason,
  type Return,
  type ReturnItemsRequest,
  ReturnReason,
  ReturnSchema,
} from "@emporium/contracts/orders/v2";
import { Database, type Tx } from "@emporium/database";
import { outboxEvent } from "@emporium/events";
import { type Client, InjectClient } from "@emporium/grpc";
import { requireOwner } from "@emporium/identity";
import { Inject, Injectable } from "@nestjs/common";
import { type Settings, SETTINGS } from "./config.js";
import { oneCurrency } from "./currency.js";
import { failure } from "./failure.js";
import type {
  PrismaClient,
  ReturnReason as StoredReturnReason,
} from "./generated/prisma/client.js";
import { toMinorUnits } from "./money.js";
import { lockOrder, recordChange } from "./order-changes.js";
import type { OrderRow } from "./order-message.js";
import { orderNotFound } from "./orders.js";
import { checkProducts } from "./products.js";
import { matchReturn, type ReturnMatch, type SoldLine } from "./return-matching.js";
import { hashReturn, returnMessage, type ReturnRow } from "./return-message.js";
import { toV1Order, toV1Return } from "./v1-message.js";

/** Taking goods back, with their order or without. */
@Injectable()
export class Returns {
  constructor(
    private readonly database: Database<PrismaClient>,
    @InjectClient(InventoryService) private readonly inventory: Client<typeof InventoryService>,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** Takes goods back, or gives the return that the id stands for already. */
  take(request: ReturnItemsRequest, signal: AbortSignal): Promise<Return> {
    const currency = oneCurrency(request.lines, this.settings.currency);
    return request.orderId
      ? this.#takeWithOrder(request, currency, signal)
      : this.#takeWithoutOrder(request, currency, signal);
  }

  #takeWithOrder(request: ReturnItemsRequest, currency: string, signal: AbortSignal) {
    return this.database.transaction(signal, async (tx) => {
      const order = await lockOrder(tx, request.orderId);
      if (order) requireOwner(order.customerId);
      const known = await knownReturn(tx, request);
      if (known) return known;
      if (!order || (request.customerId && request.customerId !== order.customerId))
        throw orderNotFound(request.orderId);
      if (order.state === "CANCELLED") throw orderCancelled(order);
      const match = fit(request, currency, order);
      const row = this.#row(request, order.customerId, order.currency, match.prices);
      if (!(await insertReturn(tx, row))) return (await knownReturn(tx, request))!;
      await writeReturnedQuantities(tx, order.orderId, match.back);
      const taken = returnMessage(row);
      const back = new Map(match.back.map((line) => [line.lineNo, line.returnedQuantity]));
      const change = {
        state: match.complete ? ("RETURNED" as const) : order.state,
        refunded: order.refunded + row.refund,
        lines: order.lines.map((line) => ({
          ...line,
          returnedQuantity: back.get(line.lineNo) ?? line.returnedQuantity,
        })),
      };
      await recordChange(tx, order, change, {
        now: row.createTime,
        returnId: row.returnId,
        event: (changed) =>
          outboxEvent(ItemsReturnedSchema, {
            aggregateId: order.orderId,
            version: changed.revision,
            message: {
              return: toV1Return(taken),
              order: toV1Order(changed),
              checkoutId: order.checkoutId,
            },
          }),
      });
      return taken;
    });
  }

  async #takeWithoutOrder(request: ReturnItemsRequest, currency: string, signal: AbortSignal) {
    // What was paid is the caller's word alone: that is no customer's to give.
    requireOwner("");
    const known = await this.database.transaction(signal, (tx) => knownReturn(tx, request));
    if (known) return known;
    const row = this.#row(request, request.customerId, currency, statedPrices(request));
    await checkProducts(this.inventory, request.lines);
    return this.database.transaction(signal, async (tx) => {
      if (!(await insertReturn(tx, row))) return (await knownReturn(tx, request))!;
      const taken = returnMessage(row);
      tx.emit(
        outboxEvent(ItemsReturnedSchema, {
          aggregateId: row.returnId,
          version: 1n,
          message: { return: toV1Return(taken) },
        }),
      );
      return taken;
    });
  }

  #row(
    request: ReturnItemsRequest,
    customerId: string,
    currency: string,
    prices: readonly bigint[],
  ): ReturnRow {
    const lines = request.lines.map(({ sku, quantity }, index) => ({
      lineNo: index + 1,
      sku,
      quantity,
      unitPrice: prices[index]!,
    }));
    return {
      returnId: request.returnId,
      orderId: request.orderId || null,
      customerId,
      reason: ReturnReason[request.reason] as StoredReturnReason,
      currency,
      refund: lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0n),
      createTime: this.settings.clock.now(),
      contentHash: hashReturn(request),
      lines,
    };
  }
}

/** The return that the request's id stands for, if it does. Fails where it stands for another. */
async function knownReturn(
  tx: Tx<PrismaClient>,
  request: ReturnItemsRequest,
): Promise<Return | undefined> {
  const { returnId } = request;
  const row = await tx.return.findUnique({
    where: { returnId },
    include: { lines: { orderBy: { lineNo: "asc" } } },
  });
  if (!row) return undefined;
  requireOwner(row.customerId);
  if (Buffer.compare(row.contentHash, hashReturn(request)) === 0) return returnMessage(row);
  throw failure(Reason.RETURN_MISMATCH, `${returnId} stands for another return`, {
    resourceType: ReturnSchema.typeName,
    resourceName: returnId,
    description: "The id was used for a return with other content",
  });
}

/**
 * Inserts a return; `false` where its id was taken by a call that ran at the same time, for another
 * order or for none, and that has been waited for.
 */
async function insertReturn(tx: Tx<PrismaClient>, { lines, ...row }: ReturnRow): Promise<boolean> {
  const { count } = await tx.return.createMany({ data: [row], skipDuplicates: true });
  if (count === 0) return false;
  await tx.returnLine.createMany({
    data: lines.map((line) => ({ ...line, returnId: row.returnId })),
  });
  return true;
}

async function writeReturnedQuantities(
  tx: Tx<PrismaClient>,
  orderId: string,
  back: readonly SoldLine[],
): Promise<void> {
  const lineNos = back.map((line) => line.lineNo);
  const quantities = back.map((line) => line.returnedQuantity);
  await tx.query(WRITE_RETURNED_QUANTITIES, [orderId, lineNos, quantities]);
}

/** Not Prisma, which would take one round trip for each line. */
const WRITE_RETURNED_QUANTITIES = `
  UPDATE order_lines SET returned_quantity = back.quantity
  FROM unnest($2::int[], $3::bigint[]) AS back (line_no, quantity)
  WHERE order_id = $1 AND order_lines.line_no = back.line_no`;

/** The match of a return with its order, where it fits; what does not fit is refused by name. */
function fit(
  request: ReturnItemsRequest,
  currency: string,
  order: OrderRow,
): Extract<ReturnMatch, { outcome: "fits" }> {
  const wanted = request.lines.map(({ sku, quantity, unitPrice }) => ({
    sku,
    quantity,
    unitPrice: unitPrice && { minorUnits: toMinorUnits(unitPrice), currency },
  }));
  const match = matchReturn(order, wanted);
  switch (match.outcome) {
    case "fits":
      return match;
    case "not-on-order":
      throw failure(Reason.LINE_NOT_ON_ORDER, `${order.orderId} has no such lines`, {
        fieldViolations: match.mismatches.map(({ index, field, description }) => ({
          field: `lines[${index}].${field}`,
          description,
        })),
      });
    case "exceeds":
      throw failure(Reason.RETURN_EXCEEDS_ORDER, "More would come back than can", {
        violations: match.excesses.map(({ sku, description }) => ({
          type: "RETURNABLE_QUANTITY",
          subject: sku,
          description,
        })),
      });
  }
}

function orderCancelled({ orderId }: OrderRow): Error {
  return failure(Reason.ORDER_CANCELLED, `${orderId} is cancelled`, {
    violations: [
      {
        type: "ORDER_STATE",
        subject: orderId,
        description: "Goods of a cancelled order are back in stock and paid back already",
      },
    ],
  });
}

function statedPrices({ lines }: ReturnItemsRequest): bigint[] {
  const fieldViolations = lines.flatMap(({ unitPrice }, index) =>
    unitPrice
      ? []
      : [{ field: `lines[${index}].unit_price`, description: "required without an order" }],
  );
  if (fieldViolations.length > 0)
    throw failure(Reason.PRICE_MISSING, "A return without an order states what is paid back", {
      fieldViolations,
    });
  return lines.flatMap(({ unitPrice }) => (unitPrice ? [toMinorUnits(unitPrice)] : []));
}
