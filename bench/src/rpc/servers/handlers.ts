import type { ServiceImpl } from "@connectrpc/connect";
import { CountOutcome, type InventoryService } from "@emporium/contracts/inventory/v1";
import type { OrderService } from "@emporium/contracts/orders/v1";
import { STREAM_MESSAGES } from "../subject.js";
import { typedOrder } from "../typed-order.js";

/** The handlers of the servers that speak Connect's types, word for word the same. */
export const orders: Pick<ServiceImpl<typeof OrderService>, "getOrder" | "exportOrders"> = {
  getOrder: () => ({ order: typedOrder() }),
  async *exportOrders() {
    for (let sent = 0; sent < STREAM_MESSAGES; sent++) yield { order: typedOrder() };
  },
};

export const inventory: Pick<
  ServiceImpl<typeof InventoryService>,
  "getProduct" | "importStock" | "countStock"
> = {
  getProduct: ({ sku }) => ({ product: { sku } }),
  async importStock(entries) {
    let received = 0n;
    for await (const entry of entries) if (entry.entry.case) received++;
    return { received };
  },
  async *countStock(counts) {
    for await (const { sku } of counts) yield { sku, outcome: CountOutcome.MATCHED };
  },
};
