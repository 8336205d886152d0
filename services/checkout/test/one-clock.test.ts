import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { CheckoutState } from "@emporium/contracts/checkout/v1";
import { newId } from "@emporium/runtime";
import { afterEach, expect, test, vi } from "vitest";
import { RunningCheckout } from "./running-checkout.js";
import { purchase } from "./shop.js";

afterEach(() => void vi.useRealTimers());

test("a replica whose clock is two minutes ahead sells at a quote that has a minute left", async () => {
  await using stack = new AsyncDisposableStack();
  const running = await RunningCheckout.prepare(stack);
  const client = await running.start({ clock: undefined });
  const quoteId = newId("quo");
  const unitPrice = { currencyCode: "GBP", units: 1n };
  await client.createQuote({
    quoteId,
    customerId: "ada",
    lines: [{ sku: "TEA", quantity: 1n, unitPrice }],
    expireTime: timestampFromDate(new Date(Date.now() + 60_000)),
  });
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 120_000 });
  const { checkout } = await client.completeOrder(
    purchase({ basket: { case: "quoteId", value: quoteId } }),
  );
  expect(checkout?.state).toBe(CheckoutState.COMPLETED);
});
