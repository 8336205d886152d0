import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { encode } from "@emporium/codec";
import { GetOrderResponseSchema, type Order, OrderSchema } from "@emporium/contracts/orders/v1";
import { projectDirectory, readSales } from "@emporium/local";

/** An order of the real month, as the service would answer with it. */
export interface RealOrder {
  order: Order;
  /** Bytes of GetOrder's answer. */
  bytes: Buffer;
}

/** The id by which a server knows the order at a place in the list. */
export const idAt = (index: number) => `ord_${String(index).padStart(26, "0")}`;

/** The place in the list that an id stands for. */
export const placeOf = (orderId: string) => Number(orderId.slice("ord_".length));

/** The orders of December 2010 in the order of the file, with their titles, units and prices. */
export async function realOrders(): Promise<RealOrder[]> {
  const invoices = new Map<string, { customerId: string; lines: Order["lines"] }>();
  const file = join(projectDirectory, "data/online-retail-2010-12.csv.gz");
  for await (const sale of readSales(file)) {
    const { invoice, customer, stockCode: sku, description: title, quantity, unitPrice } = sale;
    if (invoice.startsWith("C") || quantity < 1n || unitPrice.units + BigInt(unitPrice.nanos) <= 0n)
      continue;
    const known = invoices.get(invoice) ?? { customerId: customer, lines: [] };
    const price = { currencyCode: "GBP", ...unitPrice };
    const init = create(OrderSchema, { lines: [{ sku, title, quantity, unitPrice: price }] });
    known.lines.push(...init.lines);
    invoices.set(invoice, known);
  }
  return [...invoices.values()].map(({ customerId, lines }, index) => {
    const order = create(OrderSchema, {
      orderId: idAt(index),
      customerId,
      state: 1,
      lines,
      total: { currencyCode: "GBP", units: 139n, nanos: 120_000_000 },
      checkoutId: "chk_01jd3v9q8kf2h9s5w3x1c7e4zt",
      createTime: { seconds: 1_291_191_960n, nanos: 123_000_000 },
      updateTime: { seconds: 1_291_191_960n, nanos: 123_000_000 },
      revision: 1n,
    });
    return {
      order,
      bytes: encode(GetOrderResponseSchema, create(GetOrderResponseSchema, { order })),
    };
  });
}
