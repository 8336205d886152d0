import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ReturnItemsRequestSchema as ReturnItemsRequestV1Schema } from "@emporium/contracts/orders/v1";
import {
  type Return,
  type ReturnItemsRequest,
  ReturnReason,
  ReturnSchema,
} from "@emporium/contracts/orders/v2";
import type { Return as StoredReturn, ReturnLine } from "./generated/prisma/client.js";
import { toMoney } from "./money.js";
import { toV1ReturnRequest } from "./v1-message.js";

/** A return as the tables have it, its lines in their order. */
export type ReturnRow = StoredReturn & { lines: Omit<ReturnLine, "returnId">[] };

/** The return as callers and events see it, each line with the price that is paid back. */
export function returnMessage(row: ReturnRow): Return {
  return create(ReturnSchema, {
    returnId: row.returnId,
    orderId: row.orderId ?? "",
    customerId: row.customerId,
    reason: ReturnReason[row.reason],
    lines: row.lines.map(({ sku, quantity, unitPrice }) => ({
      sku,
      quantity,
      unitPrice: toMoney(unitPrice, row.currency),
      total: toMoney(quantity * unitPrice, row.currency),
    })),
    refund: toMoney(row.refund, row.currency),
    createTime: timestampFromDate(row.createTime),
  });
}

/**
 * What tells a repeated ReturnItems from another one under the same id: what the caller decided, in
 * the form of v1, so that a return that was asked for in one version can be repeated in the other.
 */
export function hashReturn(request: ReturnItemsRequest): Uint8Array<ArrayBuffer> {
  const content = toBinary(ReturnItemsRequestV1Schema, toV1ReturnRequest(request));
  return new Uint8Array(createHash("sha256").update(content).digest());
}
