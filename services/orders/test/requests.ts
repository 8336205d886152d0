import { randomInt } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CreateOrderRequest,
  CreateOrderRequestSchema,
  type OrderLine,
  OrderLineSchema,
  type ReturnItemsRequest,
  ReturnItemsRequestSchema,
  type ReturnLine,
  ReturnLineSchema,
  ReturnReason,
  ShippingAddressSchema,
} from "@emporium/contracts/orders/v1";
import {
  type CreateOrderRequest as CreateOrderRequestV2,
  CreateOrderRequestSchema as CreateOrderRequestV2Schema,
  ShippingAddressSchema as ShippingAddressV2Schema,
} from "@emporium/contracts/orders/v2";
import { toMoney } from "../src/money.js";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A new id in the form of the contract; only its form matters to orders. */
export function newId(prefix: "ord" | "chk" | "ret"): string {
  const tail = Array.from({ length: 25 }, () => ALPHABET[randomInt(32)]).join("");
  return `${prefix}_${randomInt(8)}${tail}`;
}

/** `85123A` for 2.55 pounds each. */
export function line(sku: string, quantity: number, pence: number, currency = "GBP"): OrderLine {
  return create(OrderLineSchema, {
    sku,
    title: `Title of ${sku}`,
    quantity: BigInt(quantity),
    unitPrice: toMoney(BigInt(pence), currency),
  });
}

/** The same, coming back; without a price it comes back at what it cost. */
export function back(sku: string, quantity: number, pence?: number, currency = "GBP"): ReturnLine {
  return create(ReturnLineSchema, {
    sku,
    quantity: BigInt(quantity),
    ...(pence !== undefined && { unitPrice: toMoney(BigInt(pence), currency) }),
  });
}

/** A request of a customer called alice; what differs is given. */
export function orderRequest(
  lines: OrderLine[],
  { orderId = newId("ord"), customerId = "alice" } = {},
): CreateOrderRequest {
  return create(CreateOrderRequestSchema, {
    orderId,
    customerId,
    lines,
    shippingAddress: {
      recipient: "Alice Example",
      addressLines: ["1 High Street"],
      locality: "Leeds",
      postalCode: "LS1 1AA",
      country: "United Kingdom",
      email: "alice@example.org",
    },
    checkoutId: orderId.replace("ord_", "chk_"),
  });
}

/** The same request in the second version of the contract. */
export function requestInV2(request: CreateOrderRequest): CreateOrderRequestV2 {
  const { orderId, customerId, lines, shippingAddress, checkoutId } = request;
  return create(CreateOrderRequestV2Schema, {
    orderId,
    customerId,
    lines: lines.map(({ sku, title, quantity, unitPrice }) => ({
      sku,
      title,
      quantity,
      unitPrice: unitPrice!,
    })),
    ...(shippingAddress && {
      shippingAddress: fromBinary(
        ShippingAddressV2Schema,
        toBinary(ShippingAddressSchema, shippingAddress),
      ),
    }),
    checkoutId,
  });
}

/** A return of goods that nobody wants; without `orderId` the order is not known. */
export function returnRequest(
  lines: ReturnLine[],
  { returnId = newId("ret"), orderId = "", customerId = "" } = {},
): ReturnItemsRequest {
  return create(ReturnItemsRequestSchema, {
    returnId,
    orderId,
    customerId,
    reason: ReturnReason.UNWANTED,
    lines,
  });
}
