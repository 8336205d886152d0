import { create, type MessageShape } from "@bufbuild/protobuf";
import { OrderSchema, type OrderState } from "@emporium/contracts/orders/v1";
import { order } from "./subject.js";

/** The order as a message, made anew as a handler would. */
export function typedOrder(): MessageShape<typeof OrderSchema> {
  const money = (amount: typeof order.total) => ({ ...amount, units: BigInt(amount.units) });
  return create(OrderSchema, {
    ...order,
    state: order.state as OrderState,
    revision: BigInt(order.revision),
    total: money(order.total),
    lines: order.lines.map((line) => ({
      ...line,
      quantity: BigInt(line.quantity),
      unitPrice: money(line.unitPrice),
    })),
  });
}
