import { served } from "../../rpc/served.js";
import { checkout } from "./checkout.js";
import { inventory } from "./inventory.js";
import { orders } from "./orders.js";
import type { Start } from "./service.js";

/** `main.js <service> <start as JSON>`: one service of the obvious shop, told apart from the bench. */
const [name, start] = process.argv.slice(2) as ["checkout" | "inventory" | "orders", string];
const server = await { checkout, inventory, orders }[name](JSON.parse(start) as Start);
await new Promise<void>((resolve, reject) => {
  server.listen((error) => (error ? reject(error) : resolve()));
});
served(Number(server.address.split(":")[1]));
