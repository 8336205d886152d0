import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { CancelReason, OrderService } from "@emporium/contracts/orders/v1";
import { newId } from "@emporium/runtime";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { audit } from "../src/audit/audit.js";
import { stockShop } from "../src/catalogue/stock-shop.js";
import { bootShop, type Shop } from "../src/shop/shop.js";
import { testInfrastructure } from "../src/test-infrastructure.js";

const PATIENCE_MS = 30_000;
const stack = new AsyncDisposableStack();
let shop: Shop;

beforeAll(async () => {
  shop = stack.use(await bootShop({ backing: await testInfrastructure() }));
  const product = (sku: string) => ({
    sku,
    title: sku,
    listPrice: 200n,
    units: 50n,
    unitsSold: 0n,
  });
  using inventory = await shop.client(InventoryService, { as: "test" });
  await stockShop({
    inventory,
    importId: newId("imp"),
    currency: "GBP",
    products: ["TEA", "CUP"].map(product),
  });
});
afterAll(() => stack.disposeAsync());

async function buy(sku: string, paymentToken = "tok_approve") {
  using checkout = await shop.client(CheckoutService, { as: "test" });
  const checkoutId = newId("chk");
  const basket = { case: "cart" as const, value: { lines: [{ sku, quantity: 3n }] } };
  const { checkout: bought } = await checkout.completeOrder({
    checkoutId,
    customerId: "ada",
    basket,
    paymentToken,
    shippingAddress: { country: "GB" },
  });
  return bought!;
}

async function query(service: keyof Shop["databaseUrls"], sql: string): Promise<void> {
  const client = new Client({ connectionString: shop.databaseUrls[service] });
  await client.connect();
  await client.query(sql);
  await client.end();
}

test("the books of a shop that bought, refused and took back agree", async () => {
  using orders = await shop.client(OrderService, { as: "test" });
  await buy("TEA");
  await expect(buy("TEA", "tok_decline")).rejects.toThrow("declined");
  const { orderId } = await buy("CUP");
  await orders.cancelOrder({ orderId, reason: CancelReason.CUSTOMER_REQUEST });
  const report = await audit(shop, PATIENCE_MS);
  expect(report.differences).toEqual([]);
  expect(report).toMatchObject({
    holds: true,
    products: 2,
    stock: { loaded: 100n, sold: 6n, returned: 3n, onHand: 97n, reserved: 0n },
    purchases: { completed: 2, refused: 1, orders: 2, captured: 1_200n, refunded: 600n },
  });
});

test("what was tampered with is named", async () => {
  const { checkoutId } = await buy("TEA");
  const own = checkoutId.slice(4);
  expect((await audit(shop, PATIENCE_MS)).differences).toEqual([]);

  await query("inventory", "UPDATE product SET on_hand = on_hand + 1 WHERE sku = 'CUP'");
  await query("orders", `UPDATE orders SET total = total + 1 WHERE order_id = 'ord_${own}'`);
  await query("checkout", `DELETE FROM payment_ledger WHERE payment_id = 'pay_${own}'`);
  await query(
    "checkout",
    `DELETE FROM outbox WHERE aggregate_id = '${checkoutId}' AND version = 2`,
  );
  const { holds, differences } = await audit(shop, 0);
  expect(holds).toBe(false);
  const named = differences.map(({ what, expected, found }) => `${what}: ${expected}, ${found}`);
  expect(named).toEqual(
    expect.arrayContaining([
      "on hand (by events) of CUP: 50, 51",
      "loaded - sold + returned of CUP: 51, 50",
      `order's total of ${checkoutId}: 600, 601`,
      `payment of ${checkoutId}: authorize, capture, `,
      expect.stringMatching(`events 1 to \\d of chk ${checkoutId}: `),
    ]),
  );
});
