import { create, fromBinary, toBinary, type DescFile, type DescMessage } from "@bufbuild/protobuf";
import * as wellKnown from "@bufbuild/protobuf/wkt";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { GetOrderResponseSchema, OrderService } from "@emporium/contracts/orders/v1";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decode, encode } from "../src/index.js";
import { spoil } from "./random-bytes.js";
import { drawMessageOf } from "./random-message.js";
import { expectSame, outcome } from "./same.js";

/** Every message type of the file, of the files that it imports, and inside of these types. */
function typesOf(file: DescFile): DescMessage[] {
  const inside = (type: DescMessage): DescMessage[] => [
    type,
    ...type.nestedMessages.flatMap(inside),
  ];
  return [...file.messages.flatMap(inside), ...file.dependencies.flatMap(typesOf)];
}

const services = [CheckoutService, InventoryService, OrderService];
const wellKnownTypes = Object.values<unknown>(wellKnown).filter(isType);
const types = new Set([...services.flatMap(({ file }) => typesOf(file)), ...wellKnownTypes]);

function isType(value: unknown): value is DescMessage {
  return typeof value === "object" && value !== null && Reflect.get(value, "kind") === "message";
}

test("every type of the contract and every well-known type is written and read as by protobuf-es", () => {
  expect(types.size).toBeGreaterThan(150);
  for (const type of types) {
    fc.assert(
      fc.property(fc.gen(), (draw) => {
        const message = drawMessageOf(draw, type, { wild: false }, 2);
        const written = outcome(() => toBinary(type, message));
        expectSame(
          outcome(() => new Uint8Array(encode(type, message))),
          written,
        );
        const bytes = "value" in written ? (written.value as Uint8Array) : new Uint8Array(3);
        for (const given of [bytes, spoil(draw, bytes)]) {
          expectSame(
            outcome(() => decode(type, given)),
            outcome(() => fromBinary(type, given)),
          );
        }
      }),
      { numRuns: 5, endOnFailure: true },
    );
  }
});

const unitPrice = { currencyCode: "GBP", units: 2n, nanos: 550_000_000 };
const order = create(GetOrderResponseSchema, {
  order: {
    orderId: "ord_01jdz3k7m8n9p0q1r2s3t4v5w6",
    lines: [
      { sku: "85123A", title: "Crème brûlée set", quantity: 6n, unitPrice },
      { sku: "71053", title: "WHITE METAL LANTERN", quantity: 1_000_000n, unitPrice },
    ],
    createTime: { seconds: 1_291_191_960n, nanos: 123_000_000 },
    revision: 300n,
  },
});

test("an order cut off anywhere is refused in the words of protobuf-es", () => {
  const bytes = toBinary(GetOrderResponseSchema, order);
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.subarray(0, length);
    expectSame(
      outcome(() => decode(GetOrderResponseSchema, cut)),
      outcome(() => fromBinary(GetOrderResponseSchema, cut)),
    );
  }
});

test("an order with any one byte changed is read or refused as by protobuf-es", () => {
  const bytes = toBinary(GetOrderResponseSchema, order);
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0, 1, 2, 5, 8, 34, 127, 128, 192, 255, bytes[at]! + 1, bytes[at]! ^ 128]) {
      const changed = Buffer.from(bytes).fill(value, at, at + 1);
      expectSame(
        outcome(() => decode(GetOrderResponseSchema, changed)),
        outcome(() => fromBinary(GetOrderResponseSchema, changed)),
      );
    }
  }
});
