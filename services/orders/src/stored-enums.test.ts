import { CancelReason, OrderState, ReturnReason } from "@emporium/contracts/orders/v2";
import { expect, test } from "vitest";
import {
  CancelReason as StoredCancelReason,
  OrderState as StoredOrderState,
  ReturnReason as StoredReturnReason,
} from "./generated/prisma/enums.js";

test.each([
  ["OrderState", OrderState, StoredOrderState],
  ["CancelReason", CancelReason, StoredCancelReason],
  ["ReturnReason", ReturnReason, StoredReturnReason],
])("the database knows every %s of the contract", (_, contract, stored) => {
  const names = Object.keys(contract).filter((name) => !/^\d+$|^UNSPECIFIED$/.test(name));
  expect(Object.keys(stored)).toEqual(names);
});
