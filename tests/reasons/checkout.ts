import { newId } from "@emporium/runtime";
import { euros, pounds, type Provocation, type ReasonShop, UNKNOWN } from "./shop.js";

const HOUR_MS = 3_600_000;

const cart = (sku: string, quantity = 1n) => ({
  case: "cart" as const,
  value: { lines: [{ sku, quantity }] },
});
const purchase = (sku: string, paymentToken = "tok_approve") => ({
  checkoutId: newId("chk"),
  customerId: "17850",
  basket: cart(sku),
  paymentToken,
});

async function quoted(shop: ReasonShop) {
  const quote = {
    quoteId: newId("quo"),
    customerId: "17850",
    lines: [{ sku: await shop.stocked(9n), quantity: 1n, unitPrice: pounds(2n) }],
  };
  await shop.checkout.createQuote(quote);
  const buy = () =>
    shop.checkout.completeOrder({
      ...purchase(UNKNOWN),
      basket: { case: "quoteId", value: quote.quoteId },
    });
  return { quote, buy };
}

async function* untimely() {
  yield { action: { case: "setLine" as const, value: { sku: UNKNOWN, quantity: 1n } } };
}

/** How a caller meets each reason that checkout's methods declare. */
export const checkout: Record<string, Provocation> = {
  "CreateQuote WRONG_CURRENCY": async (shop) => {
    const sku = await shop.stocked(1n);
    const lines = [{ sku, quantity: 1n, unitPrice: euros(2n) }];
    return shop.checkout.createQuote({ quoteId: newId("quo"), customerId: "17850", lines });
  },
  "CreateQuote QUOTE_MISMATCH": async (shop) => {
    const { quote } = await quoted(shop);
    return shop.checkout.createQuote({ ...quote, customerId: "99999" });
  },
  "CreateQuote PRODUCT_NOT_FOUND": (shop) =>
    shop.checkout.createQuote({
      quoteId: newId("quo"),
      customerId: "17850",
      lines: [{ sku: UNKNOWN, quantity: 1n, unitPrice: pounds(2n) }],
    }),

  "CompleteOrder CHECKOUT_MISMATCH": async (shop) => {
    const first = purchase(await shop.stocked(9n));
    await shop.checkout.completeOrder(first);
    return shop.checkout.completeOrder({ ...first, customerId: "99999" });
  },
  "CompleteOrder QUOTE_NOT_FOUND": (shop) =>
    shop.checkout.completeOrder({
      ...purchase(UNKNOWN),
      basket: { case: "quoteId", value: newId("quo") },
    }),
  "CompleteOrder QUOTE_EXPIRED": async (shop) => {
    const { buy } = await quoted(shop);
    shop.checkoutClock.advance(30 * 24 * HOUR_MS);
    return buy();
  },
  "CompleteOrder QUOTE_USED": async (shop) => {
    const { buy } = await quoted(shop);
    await buy();
    return buy();
  },
  "CompleteOrder PRODUCT_NOT_FOUND": (shop) => shop.checkout.completeOrder(purchase(UNKNOWN)),
  "CompleteOrder OUT_OF_STOCK": async (shop) =>
    shop.checkout.completeOrder({
      ...purchase(UNKNOWN),
      basket: cart(await shop.stocked(1n), 2n),
    }),
  "CompleteOrder PAYMENT_DECLINED": async (shop) =>
    shop.checkout.completeOrder(purchase(await shop.stocked(1n), "tok_decline")),
  "CompleteOrder PAYMENT_UNAVAILABLE": async (shop) =>
    shop.checkout.completeOrder(purchase(await shop.stocked(1n), "tok_down")),
  "CompleteOrder RESERVATION_EXPIRED": async (shop) => {
    const sku = await shop.stocked(1n);
    shop.beforeCommit = () => shop.inventoryClock.advance(HOUR_MS);
    try {
      return await shop.checkout.completeOrder(purchase(sku));
    } finally {
      shop.beforeCommit = () => {};
    }
  },

  "GetCheckout CHECKOUT_NOT_FOUND": (shop) =>
    shop.checkout.getCheckout({ checkoutId: newId("chk") }),
  "WatchCheckout CHECKOUT_NOT_FOUND": (shop) =>
    Array.fromAsync(shop.checkout.watchCheckout({ checkoutId: newId("chk") })),
  "ShopSession SESSION_OUT_OF_ORDER": (shop) =>
    Array.fromAsync(shop.checkout.shopSession(untimely())),
};
