import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Order,
  type ShippingAddress,
  ShippingAddressSchema,
} from "@emporium/contracts/orders/v2";
import { DataKeys } from "@emporium/database";
import { Injectable } from "@nestjs/common";

/** Where goods go: sealed in the order's row, and nowhere else in the database or in events. */
@Injectable()
export class Addresses {
  constructor(private readonly keys: DataKeys) {}

  /** What the row of an order keeps of its address. */
  seal(orderId: string, address: ShippingAddress | undefined): Uint8Array | null {
    if (!address) return null;
    const bytes = toBinary(ShippingAddressSchema, address, { writeUnknownFields: false });
    return this.keys.seal(bytes, placeOf(orderId));
  }

  /** The same order with the address that its row has for it. */
  addTo(order: Order, kept: Uint8Array | null): Order {
    if (!kept) return order;
    const bytes = this.keys.open(kept, placeOf(order.orderId));
    return { ...order, shippingAddress: fromBinary(ShippingAddressSchema, bytes) };
  }
}

const placeOf = (orderId: string) => `orders/${orderId}`;
