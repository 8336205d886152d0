import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { served } from "../served.js";
import { inventory, orders } from "./handlers.js";

/** Connect's own server on node:http2. */
const server = createServer(
  connectNodeAdapter({
    routes: (router) => {
      router.service(InventoryService, inventory);
      router.service(OrderService, orders);
    },
  }),
);
server.listen(0, "127.0.0.1", () => served((server.address() as AddressInfo).port));
