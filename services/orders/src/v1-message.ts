import { create } from "@bufbuild/protobuf";
import * as v1 from "@emporium/contracts/orders/v1";
import * as v2 from "@emporium/contracts/orders/v2";
import { toMinorUnits, toMoney } from "./money.js";

// The tables name every value of the one side, so that a new one does not compile until it is said
// what it is called on the other.
const states: Record<v2.OrderState, v1.OrderState> = {
  [v2.OrderState.UNSPECIFIED]: v1.OrderState.UNSPECIFIED,
  [v2.OrderState.PLACED]: v1.OrderState.PLACED,
  [v2.OrderState.CANCELLED]: v1.OrderState.CANCELLED,
  [v2.OrderState.RETURNED]: v1.OrderState.RETURNED,
};

const cancelReasons: Record<v2.CancelReason, v1.CancelReason> = {
  [v2.CancelReason.UNSPECIFIED]: v1.CancelReason.UNSPECIFIED,
  [v2.CancelReason.CUSTOMER_REQUEST]: v1.CancelReason.CUSTOMER_REQUEST,
  [v2.CancelReason.CHECKOUT_FAILED]: v1.CancelReason.CHECKOUT_FAILED,
  [v2.CancelReason.SHOP_DECISION]: v1.CancelReason.SHOP_DECISION,
};

const returnReasons: Record<v2.ReturnReason, v1.ReturnReason> = {
  [v2.ReturnReason.UNSPECIFIED]: v1.ReturnReason.UNSPECIFIED,
  [v2.ReturnReason.UNWANTED]: v1.ReturnReason.UNWANTED,
  [v2.ReturnReason.DEFECTIVE]: v1.ReturnReason.DEFECTIVE,
  [v2.ReturnReason.WRONG_ITEM]: v1.ReturnReason.WRONG_ITEM,
  [v2.ReturnReason.NOT_RECORDED]: v1.ReturnReason.NOT_RECORDED,
};

const cancelReasonsFromV1: Record<v1.CancelReason, v2.CancelReason> = {
  [v1.CancelReason.UNSPECIFIED]: v2.CancelReason.UNSPECIFIED,
  [v1.CancelReason.CUSTOMER_REQUEST]: v2.CancelReason.CUSTOMER_REQUEST,
  [v1.CancelReason.CHECKOUT_FAILED]: v2.CancelReason.CHECKOUT_FAILED,
  [v1.CancelReason.SHOP_DECISION]: v2.CancelReason.SHOP_DECISION,
};

const returnReasonsFromV1: Record<v1.ReturnReason, v2.ReturnReason> = {
  [v1.ReturnReason.UNSPECIFIED]: v2.ReturnReason.UNSPECIFIED,
  [v1.ReturnReason.UNWANTED]: v2.ReturnReason.UNWANTED,
  [v1.ReturnReason.DEFECTIVE]: v2.ReturnReason.DEFECTIVE,
  [v1.ReturnReason.WRONG_ITEM]: v2.ReturnReason.WRONG_ITEM,
  [v1.ReturnReason.NOT_RECORDED]: v2.ReturnReason.NOT_RECORDED,
};

/** The order in the words of v1, with its address where it has one; taxes are left out. */
export function toV1Order(order: v2.Order): v1.Order {
  const { status, lines, shippingAddress, ...same } = order;
  const reason = status?.cause.case === "cancellation" ? status.cause.value.reason : 0;
  return create(v1.OrderSchema, {
    orderId: same.orderId,
    customerId: same.customerId,
    state: states[status?.state ?? v2.OrderState.UNSPECIFIED],
    lines: lines.map(({ sku, title, quantity, unitPrice, returnedQuantity }) => ({
      sku,
      title,
      quantity,
      ...(unitPrice && { unitPrice }),
      returnedQuantity,
    })),
    ...(same.total && { total: same.total }),
    ...(same.refunded && { refunded: same.refunded }),
    ...(shippingAddress && { shippingAddress: addressFields(shippingAddress) }),
    checkoutId: same.checkoutId,
    ...(same.createTime && { createTime: same.createTime }),
    ...(same.updateTime && { updateTime: same.updateTime }),
    revision: same.revision,
    cancelReason: cancelReasons[reason],
  });
}

/** The return in the words of v1. */
export function toV1Return(taken: v2.Return): v1.Return {
  const { returnId, orderId, customerId, reason, lines, refund, createTime } = taken;
  return create(v1.ReturnSchema, {
    returnId,
    orderId,
    customerId,
    reason: returnReasons[reason],
    lines: lines.map(returnLineFields),
    ...(refund && { refund }),
    ...(createTime && { createTime }),
  });
}

/** The return that an event of v1 tells. */
export function fromV1Return(taken: v1.Return): v2.Return {
  const { returnId, orderId, customerId, reason, lines, refund, createTime } = taken;
  return create(v2.ReturnSchema, {
    returnId,
    orderId,
    customerId,
    reason: returnReasonsFromV1[reason],
    lines: lines.map((line) => ({ ...returnLineFields(line), ...lineTotal(line) })),
    ...(refund && { refund }),
    ...(createTime && { createTime }),
  });
}

/** CreateOrder as v2 asks for it, of what v1 asks for. */
export function fromV1CreateRequest(request: v1.CreateOrderRequest): v2.CreateOrderRequest {
  return create(v2.CreateOrderRequestSchema, createFields(request));
}

/** CreateOrder as v1 would ask for it: what the caller decided, and nothing else. */
export function toV1CreateRequest(request: v2.CreateOrderRequest): v1.CreateOrderRequest {
  return create(v1.CreateOrderRequestSchema, createFields(request));
}

/** CancelOrder as v2 asks for it; callers of v1 have nothing to add to their reason. */
export function fromV1CancelRequest({ orderId, reason }: v1.CancelOrderRequest) {
  return { orderId, reason: cancelReasonsFromV1[reason], note: "" };
}

/** ReturnItems as v2 asks for it, of what v1 asks for. */
export function fromV1ReturnRequest(request: v1.ReturnItemsRequest): v2.ReturnItemsRequest {
  const reason = returnReasonsFromV1[request.reason];
  return create(v2.ReturnItemsRequestSchema, { ...returnFields(request), reason });
}

/** ReturnItems as v1 would ask for it: what the caller decided, and nothing else. */
export function toV1ReturnRequest(request: v2.ReturnItemsRequest): v1.ReturnItemsRequest {
  const reason = returnReasons[request.reason];
  return create(v1.ReturnItemsRequestSchema, { ...returnFields(request), reason });
}

function createFields(request: v1.CreateOrderRequest | v2.CreateOrderRequest) {
  const { orderId, customerId, lines, shippingAddress, checkoutId } = request;
  return {
    orderId,
    customerId,
    lines: lines.map(({ sku, title, quantity, unitPrice }) => ({
      sku,
      title,
      quantity,
      ...(unitPrice && { unitPrice: plainMoney(unitPrice) }),
    })),
    ...(shippingAddress && { shippingAddress: addressFields(shippingAddress) }),
    checkoutId,
  };
}

function returnFields(request: v1.ReturnItemsRequest | v2.ReturnItemsRequest) {
  const { returnId, orderId, customerId, lines } = request;
  return { returnId, orderId, customerId, lines: lines.map(returnLineFields) };
}

function returnLineFields({ sku, quantity, unitPrice }: v1.ReturnLine | v2.ReturnLine) {
  return { sku, quantity, ...(unitPrice && { unitPrice: plainMoney(unitPrice) }) };
}

function lineTotal({ quantity, unitPrice }: v1.ReturnLine) {
  if (!unitPrice) return {};
  return { total: toMoney(quantity * toMinorUnits(unitPrice), unitPrice.currencyCode) };
}

function addressFields(address: v1.ShippingAddress | v2.ShippingAddress) {
  const { recipient, addressLines, locality, postalCode, country, email, phone } = address;
  return { recipient, addressLines, locality, postalCode, country, email, phone };
}

/** Without fields that a later version of Money might bring: they are nobody's decision here. */
function plainMoney({ currencyCode, units, nanos }: NonNullable<v1.ReturnLine["unitPrice"]>) {
  return { currencyCode, units, nanos };
}
