import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  CancelReason,
  type Order,
  OrderSchema,
  OrderState,
  ShippingAddressSchema,
} from "@emporium/contracts/orders/v1";
import type { Order as StoredOrder, OrderLine } from "./generated/prisma/client.js";
import { toMoney } from "./money.js";

/** An order as the tables have it, its lines in their order. */
export type OrderRow = Omit<StoredOrder, "contentHash"> & {
  lines: Omit<OrderLine, "orderId">[];
};

/** The order as events and snapshots tell it: without its shipping address. */
export function orderMessage(row: OrderRow): Order {
  return create(OrderSchema, {
    orderId: row.orderId,
    customerId: row.customerId,
    state: OrderState[row.state],
    lines: row.lines.map(({ sku, title, quantity, unitPrice, returnedQuantity }) => ({
      sku,
      title,
      quantity,
      unitPrice: toMoney(unitPrice, row.currency),
      returnedQuantity,
    })),
    total: toMoney(row.total, row.currency),
    refunded: toMoney(row.refunded, row.currency),
    checkoutId: row.checkoutId,
    createTime: timestampFromDate(row.createTime),
    updateTime: timestampFromDate(row.updateTime),
    revision: row.revision,
    cancelReason: CancelReason[row.cancelReason ?? "UNSPECIFIED"],
  });
}

/** The order as its own customer sees it: a stored snapshot, and the address from its one column. */
export function readSnapshot(snapshot: Uint8Array, shippingAddress: Uint8Array | null): Order {
  return withAddress(fromBinary(OrderSchema, snapshot), shippingAddress);
}

/** The same order with the address that the database has for it. */
export function withAddress(order: Order, shippingAddress: Uint8Array | null): Order {
  return shippingAddress
    ? { ...order, shippingAddress: fromBinary(ShippingAddressSchema, shippingAddress) }
    : order;
}
