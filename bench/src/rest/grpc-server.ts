import { serveEngine } from "../engine-server.js";
import { orders } from "../rpc/servers/handlers.js";
import { typedOrder } from "../rpc/typed-order.js";

/** The same orders by the engine with mTLS. It neither counts nor logs: the others do not either. */
await serveEngine({
  certificates: process.argv[2],
  orders: {
    ...orders,
    listOrders: ({ pageSize }) => ({ orders: Array.from({ length: pageSize }, typedOrder) }),
  },
});
