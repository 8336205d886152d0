import { serveEngine } from "../engine-server.js";
import { STREAM_MESSAGES } from "../rpc/subject.js";
import { placeOf, realOrders } from "./real-orders.js";

/** The engine with mTLS, and with the real orders to answer with. */
const orders = (await realOrders()).map(({ order }) => ({ order }));
await serveEngine({
  certificates: process.argv[2],
  orders: {
    getOrder: ({ orderId }) => orders[placeOf(orderId)]!,
    async *exportOrders() {
      for (let sent = 0; sent < STREAM_MESSAGES; sent++) yield orders[sent % orders.length]!;
    },
  },
});
