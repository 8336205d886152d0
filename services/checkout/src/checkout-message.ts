import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Checkout,
  type CheckoutAdvanced,
  CheckoutAdvancedSchema,
  CheckoutSchema,
  CheckoutState,
  type CheckoutStep,
  CheckoutStepKind,
  CheckoutStepSchema,
  Reason,
} from "@emporium/contracts/checkout/v1";
import type { CheckoutRow } from "./checkout-row.js";
import { orderIdOf } from "./ids.js";
import { lineMessages } from "./lines.js";
import { toMoney } from "./money.js";

/** One step of a checkout, `sequence` counted from 1. */
export function stepMessage({ steps }: CheckoutRow, sequence: number): CheckoutStep {
  const step = steps[sequence - 1];
  if (!step) throw new Error(`There is no step ${sequence}`);
  return create(CheckoutStepSchema, {
    sequence,
    kind: CheckoutStepKind[step.kind],
    time: timestampFromDate(new Date(step.time)),
    detail: step.detail ?? "",
  });
}

/**
 * The checkout as it was after one of its steps, the last where none is named. Only the last step
 * of an ended one differs from those before.
 */
export function checkoutMessage(row: CheckoutRow, sequence = row.steps.length): Checkout {
  const message: MessageInitShape<typeof CheckoutSchema> = {
    checkoutId: row.checkoutId,
    customerId: row.customerId,
    state: CheckoutState.RUNNING,
    lines: lineMessages(row.lines, row.currency),
    total: toMoney(row.total, row.currency),
    quoteId: row.quoteId ?? "",
    createTime: timestampFromDate(row.createTime),
  };
  if (row.endTime && sequence === row.steps.length) {
    message.state = CheckoutState[row.state];
    message.endTime = timestampFromDate(row.endTime);
    if (row.state === "COMPLETED") message.orderId = orderIdOf(row.checkoutId);
    if (row.refusal) message.refusal = Reason[row.refusal.reason];
  }
  return create(CheckoutSchema, message);
}

/** One step, and the checkout after it. */
export function advancedMessage(row: CheckoutRow, sequence: number): CheckoutAdvanced {
  return create(CheckoutAdvancedSchema, {
    step: stepMessage(row, sequence),
    checkout: checkoutMessage(row, sequence),
  });
}
