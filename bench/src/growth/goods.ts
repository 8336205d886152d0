import type { CheckoutService } from "@emporium/contracts/checkout/v1";
import type { GrpcClient } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { withClient } from "./sql.js";

/** Products of a shop like the one of the real month. */
export const PRODUCTS = 2_800;

/** The n-th product that was made up. */
export const skuAt = (n: number) => `made-${String(n).padStart(9, "0")}`;

/** Makes products up, from one number up to another, with more units than anybody buys. */
export function addProducts(url: string, from: number, to: number): Promise<void> {
  return withClient(url, async (client) => {
    await client.query(
      `INSERT INTO product (sku, title, unit_price, on_hand, create_time, update_time)
       SELECT 'made-' || lpad(n::text, 9, '0'), 'WHITE HANGING HEART T-LIGHT HOLDER', 255,
         1000000000000, now(), now()
       FROM generate_series($1::int, $2::int - 1) AS n`,
      [from, to],
    );
    await client.query("VACUUM (ANALYZE) product");
  });
}

/** Buys so many of the products, one unit each; tells the order's id. */
export async function buy(
  checkout: GrpcClient<typeof CheckoutService>,
  lines: number,
): Promise<string> {
  const first = Math.floor(Math.random() * PRODUCTS);
  const cart = Array.from({ length: lines }, (_, line) => ({
    // Apart by a prime, so that no two lines are the same and every product is as frequent.
    sku: skuAt((first + line * 911) % PRODUCTS),
    quantity: 1n,
  }));
  const { checkout: bought } = await checkout.completeOrder({
    checkoutId: newId("chk"),
    customerId: "17850",
    basket: { case: "cart", value: { lines: cart } },
    paymentToken: "tok_approve",
  });
  return bought!.orderId;
}
