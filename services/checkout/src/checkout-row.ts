import type { CheckoutStepKind } from "@emporium/contracts/checkout/v1";
import type { CheckoutState } from "./generated/prisma/client.js";
import type { Line } from "./lines.js";
import type { Refusal } from "./refusals.js";

/** What can happen to a checkout. */
export type StepKind = Exclude<keyof typeof CheckoutStepKind, "UNSPECIFIED">;

/** Something that happened to a checkout, for a JSON column. */
export interface Step {
  kind: StepKind;
  /** RFC 3339. */
  time: string;
  detail?: string;
}

/** A checkout as its row has it. */
export interface CheckoutRow {
  checkoutId: string;
  customerId: string;
  quoteId: string | null;
  state: CheckoutState;
  currency: string;
  total: bigint;
  lines: Line[];
  /** A ShippingAddress, sealed. */
  shippingAddress: Uint8Array | null;
  refusal: Refusal | null;
  steps: Step[];
  contentHash: Uint8Array;
  createTime: Date;
  endTime: Date | null;
  fence: number;
}
