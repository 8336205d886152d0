import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  CancelReason,
  type CreateOrderRequest,
  CreateOrderRequestSchema,
  type Order,
  OrderPlacedSchema,
  OrderSchema,
  OrderState,
  ShippingAddressSchema,
} from "@emporium/contracts/orders/v1";

type Query = <Row>(sql: string, values: unknown[]) => Promise<Row[]>;

const statements = new Map(
  readFileSync(join(import.meta.dirname, "previous-release.sql"), "utf8")
    .split(/^-- name: /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end)];
    }),
);

/** As much of the release before v2 as meets the database, over its own SQL. */
export class PreviousRelease {
  constructor(private readonly query: Query) {}

  /** Places an order as that release did; prices in whole pounds. */
  async place(request: CreateOrderRequest, now: Date): Promise<Order> {
    const pence = request.lines.map(({ unitPrice }) => unitPrice!.units * 100n);
    const total = request.lines.reduce((sum, { quantity }, at) => sum + quantity * pence[at]!, 0n);
    const { orderId, customerId, lines, checkoutId } = request;
    const order = create(OrderSchema, {
      orderId,
      customerId,
      state: OrderState.PLACED,
      lines,
      total: { currencyCode: "GBP", units: total / 100n },
      refunded: { currencyCode: "GBP" },
      checkoutId,
      createTime: timestampFromDate(now),
      updateTime: timestampFromDate(now),
      revision: 1n,
    });
    const content = toBinary(CreateOrderRequestSchema, request);
    const placed = await this.#run("place-order", [
      request.orderId,
      request.customerId,
      "GBP",
      total,
      request.shippingAddress ? toBinary(ShippingAddressSchema, request.shippingAddress) : null,
      request.checkoutId,
      now,
      createHash("sha256").update(content).digest(),
      request.lines.map(({ sku }) => sku),
      request.lines.map(({ title }) => title),
      request.lines.map(({ quantity }) => quantity),
      pence,
      toBinary(OrderSchema, order),
      randomUUID(),
      "order",
      OrderPlacedSchema.typeName,
      toBinary(OrderPlacedSchema, create(OrderPlacedSchema, { order })),
      "{}",
    ]);
    if (placed.length === 0) throw new Error(`${request.orderId} is taken`);
    return order;
  }

  /** Calls it off, without the event: nobody listens here. */
  async cancel(orderId: string, now: Date): Promise<void> {
    await this.#run("lock-order", [orderId]);
    const [row] = await this.#run<{ revision: bigint }>("read-row", [orderId, 1n, 0n]);
    const { shippingAddress: _, ...before } = await this.read(orderId);
    const order: Order = {
      ...before,
      state: OrderState.CANCELLED,
      cancelReason: CancelReason.SHOP_DECISION,
      updateTime: timestampFromDate(now),
      revision: row!.revision + 1n,
    };
    const { revision } = order;
    const cancelled = ["CANCELLED", 0n, "SHOP_DECISION", revision, now, orderId];
    await this.#run("change-order", cancelled);
    await this.#run("record-change", [orderId, revision, toBinary(OrderSchema, order), null]);
  }

  /** The order as that release would answer with it. */
  async read(orderId: string): Promise<Order> {
    type Found = { snapshot: Buffer; shipping_address: Buffer | null };
    const [found] = await this.#run<Found>("read-order", [orderId]);
    return withAddress(found!.snapshot, found!.shipping_address);
  }

  /** The newest orders as that release would list them. */
  async list(count: number): Promise<Order[]> {
    const values = ["infinity", "", count, 2_000_000];
    type Listed = { snapshot: Buffer; shipping_address: Buffer | null };
    const rows = await this.#run<Listed>("list-orders", values);
    return rows.map((row) => withAddress(row.snapshot, row.shipping_address));
  }

  /** What its watchers begin with. */
  async watched(orderId: string): Promise<unknown> {
    const [row] = await this.#run("watch-order", [orderId]);
    return row;
  }

  #run<Row>(name: string, values: unknown[]): Promise<Row[]> {
    return this.query<Row>(statements.get(name)!, values);
  }
}

function withAddress(snapshot: Uint8Array, address: Uint8Array | null): Order {
  const order = fromBinary(OrderSchema, snapshot);
  if (address) order.shippingAddress = fromBinary(ShippingAddressSchema, address);
  return order;
}
