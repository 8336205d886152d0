import { create, toBinary } from "@bufbuild/protobuf";
import { OrderPlacedSchema } from "@emporium/contracts/orders/v1";
import { expect, test } from "vitest";
import { readable } from "./readable.js";

const placed = create(OrderPlacedSchema, {
  order: {
    orderId: "ord_1",
    shippingAddress: { recipient: "Ada", addressLines: ["12 St James's Square"], country: "GB" },
    lines: [{ sku: "TEA", quantity: 2n, unitPrice: { currencyCode: "GBP", units: 2n } }],
    createTime: { seconds: 1n },
  },
});

test("a payload is shown by the contract, and what that redacts is not", () => {
  const json = readable(OrderPlacedSchema.typeName, toBinary(OrderPlacedSchema, placed));
  expect(json).toMatchObject({
    order: {
      orderId: "ord_1",
      lines: [{ sku: "TEA", quantity: "2", unitPrice: { currencyCode: "GBP", units: "2" } }],
      createTime: "1970-01-01T00:00:01Z",
    },
  });
  expect(JSON.stringify(json)).toContain("[redacted]");
  expect(JSON.stringify(json)).not.toMatch(/Ada|St James/);
});

test("bytes that are not the message, and messages that are in no contract, are not shown", () => {
  expect(readable(OrderPlacedSchema.typeName, Buffer.from([255, 255]))).toBeUndefined();
  expect(readable("emporium.orders.v1.OrderLost", new Uint8Array())).toBeUndefined();
});
