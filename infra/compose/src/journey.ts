import { setTimeout as delay } from "node:timers/promises";
import { CancelReason, OrderState } from "@emporium/contracts/orders/v1";
import { openClients } from "./clients.js";
import { purchase, unitsOnHand } from "./purchase.js";

/**
 * A customer's way through the shop, across all services and the events between them: buys, looks at
 * the order, sends it back, and waits until the stock is what it was. Prints a line for each step;
 * an end with 0 says that every one was taken.
 */
using clients = await openClients("load-test");

const before = await unitsOnHand(clients);
const orderId = await purchase(clients);
console.log(`bought ${orderId}`);

const { order } = await clients.orders.getOrder({ orderId });
if (order?.state !== OrderState.PLACED) throw new Error(`${orderId} is not PLACED`);
if ((await unitsOnHand(clients)) !== before - 1n) throw new Error("no unit has left the shelf");
console.log("it is placed, and a unit has left the shelf");

await clients.orders.cancelOrder({ orderId, reason: CancelReason.CUSTOMER_REQUEST });
console.log("cancelled");

// By way of orders' outbox, NATS and inventory's inbox, however long one of them is away.
while ((await unitsOnHand(clients)) !== before) await delay(100);
console.log("the unit is back on the shelf");
