import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  CancelReason,
  type Order,
  OrderSchema,
  OrderState,
  type OrderStatusSchema,
} from "@emporium/contracts/orders/v2";
import type { Order as StoredOrder, OrderLine } from "./generated/prisma/client.js";
import { toMoney } from "./money.js";
import { taxIn } from "./tax.js";

/** Where the row of an order has its address. */
export type AddressColumns = Pick<StoredOrder, "sealedAddress" | "shippingAddress">;

/** An order as the tables have it, its lines in their order; the address is left to `Addresses`. */
export type OrderRow = Omit<StoredOrder, "contentHash" | keyof AddressColumns> & {
  lines: Omit<OrderLine, "orderId">[];
};

/** The order without its shipping address; `returnId` is the return that changed it last. */
export function orderMessage(row: OrderRow, returnId?: string): Order {
  const money = (minorUnits: bigint) => toMoney(minorUnits, row.currency);
  let taxes = 0n;
  const lines = row.lines.map(({ sku, title, quantity, unitPrice, returnedQuantity }) => {
    const total = quantity * unitPrice;
    const tax = taxIn(total, row.taxRate);
    taxes += tax;
    return {
      sku,
      title,
      quantity,
      unitPrice: money(unitPrice),
      returnedQuantity,
      subtotal: money(total - tax),
      tax: money(tax),
      total: money(total),
    };
  });
  return create(OrderSchema, {
    orderId: row.orderId,
    customerId: row.customerId,
    status: statusOf(row, returnId),
    lines,
    subtotal: money(row.total - taxes),
    tax: money(taxes),
    total: money(row.total),
    refunded: money(row.refunded),
    taxRateBasisPoints: row.taxRate,
    checkoutId: row.checkoutId,
    createTime: timestampFromDate(row.createTime),
    updateTime: timestampFromDate(row.updateTime),
    revision: row.revision,
  });
}

function statusOf(row: OrderRow, returnId = ""): MessageInitShape<typeof OrderStatusSchema> {
  const time = timestampFromDate(row.statusTime);
  switch (row.state) {
    case "PLACED":
      return { state: OrderState.PLACED, time: timestampFromDate(row.createTime) };
    case "CANCELLED": {
      const reason = CancelReason[row.cancelReason ?? "UNSPECIFIED"];
      const value = { reason, note: row.cancelNote };
      return { state: OrderState.CANCELLED, time, cause: { case: "cancellation", value } };
    }
    case "RETURNED":
      return {
        state: OrderState.RETURNED,
        time,
        cause: { case: "fullReturn", value: { returnId } },
      };
  }
}
