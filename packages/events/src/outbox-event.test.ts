import { fromBinary } from "@bufbuild/protobuf";
import { StockChangeCause, StockChangedSchema } from "@emporium/contracts/inventory/v1";
import { expect, test } from "vitest";
import { outboxEvent } from "./outbox-event.js";

test("an event has an id that sorts by time, its aggregate's kind, and its message", () => {
  const message = { cause: StockChangeCause.RESERVED, referenceId: "rsv_1" };
  const row = outboxEvent(StockChangedSchema, { aggregateId: "rsv_1", version: 2, message });
  expect(row).toMatchObject({
    aggregateType: "rsv",
    aggregateId: "rsv_1",
    version: 2,
    type: "emporium.inventory.v1.StockChanged",
  });
  expect(row.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  expect(fromBinary(StockChangedSchema, row.payload)).toMatchObject(message);
});

test("an event that no stream would take is refused where it is made", () => {
  const levels = Array.from({ length: 40_000 }, () => ({ sku: "x".repeat(32) }));
  const init = { aggregateId: "rsv_1", version: 1, message: { levels } };
  expect(() => outboxEvent(StockChangedSchema, init)).toThrow(RangeError);
});
