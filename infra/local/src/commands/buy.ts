import { setTimeout as delay } from "node:timers/promises";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { CheckoutService, CheckoutStepKind } from "@emporium/contracts/checkout/v1";
import type { Money } from "@emporium/contracts/google/type";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService, OrderState } from "@emporium/contracts/orders/v1";
import { type GrpcClient, reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import type { ShopClients } from "../shop/clients.js";

/** A cakestand and six T-light holders. */
const CART = [
  { sku: "22423", quantity: 1n },
  { sku: "85123A", quantity: 6n },
];

/** Milliseconds until a checkout that is not there yet is looked for again. */
const RETRY_MS = 20;

/** Buys something over gRPC, as a customer's program would, and prints each step as it happens. */
export async function buy(shop: ShopClients): Promise<void> {
  using inventory = await shop.client(InventoryService, { as: "demo" });
  using checkout = await shop.client(CheckoutService, { as: "demo" });
  using orders = await shop.client(OrderService, { as: "demo" });

  console.log("\nInventoryService.CheckStock, before");
  await printStock(inventory);

  const checkoutId = newId("chk");
  console.log(`\nCheckoutService.CompleteOrder and WatchCheckout, ${checkoutId}`);
  const [{ checkout: bought }] = await Promise.all([
    checkout.completeOrder({
      checkoutId,
      customerId: "demo",
      basket: { case: "cart", value: { lines: CART } },
      paymentToken: "tok_approve",
    }),
    printSteps(checkout, checkoutId),
  ]);

  console.log("\nOrderService.GetOrder");
  const { order } = await orders.getOrder({ orderId: bought?.orderId ?? "" });
  for (const line of order?.lines ?? [])
    console.log(`  ${columns(line.sku, line.title)} ${line.quantity} at ${amount(line.unitPrice)}`);
  const state = OrderState[order?.state ?? OrderState.UNSPECIFIED];
  console.log(`  ${columns(order?.orderId ?? "", `${state}, total`)} ${amount(order?.total)}`);

  console.log("\nInventoryService.CheckStock, after");
  await printStock(inventory);
}

async function printStock(inventory: GrpcClient<typeof InventoryService>): Promise<void> {
  const { items } = await inventory.checkStock({ skus: CART.map(({ sku }) => sku) });
  for (const { product, level } of items) {
    const title = columns(product?.sku ?? "", product?.title ?? "");
    console.log(`  ${title} ${level?.onHand} on hand, ${level?.available} available`);
  }
}

/** The watch begins while the purchase is on its way, and may be there first. */
async function printSteps(checkout: GrpcClient<typeof CheckoutService>, checkoutId: string) {
  for (;;) {
    try {
      for await (const { step } of checkout.watchCheckout({ checkoutId })) {
        if (!step?.time) continue;
        const time = timestampDate(step.time).toISOString().slice(11, 23);
        console.log(`  ${time}  ${CheckoutStepKind[step.kind]} ${step.detail}`);
      }
      return;
    } catch (error) {
      if (reasonOf(error)?.reason !== "CHECKOUT_NOT_FOUND") throw error;
      await delay(RETRY_MS);
    }
  }
}

function columns(name: string, title: string): string {
  return `${name.padEnd(8)} ${title.padEnd(36)}`;
}

function amount(money: Money | undefined): string {
  const pence = String((money?.nanos ?? 0) / 10_000_000).padStart(2, "0");
  return `${money?.units}.${pence} ${money?.currencyCode}`;
}
