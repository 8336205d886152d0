import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Start } from "./obvious/service.js";

type ServiceName = "inventory" | "orders" | "checkout";

/** A shop of which the bench needs to know where it is, and what its processes have used. */
export interface BenchedShop extends AsyncDisposable {
  /** gRPC names. */
  addresses: Record<"inventory" | "checkout", string>;
  pids: number[];
  databaseUrls: Record<ServiceName, string>;
}

/** Starts the three services that are written the obvious way, each in a process of its own. */
export async function openObviousShop(
  databaseUrls: Record<ServiceName, string>,
  natsUrl: string,
): Promise<BenchedShop> {
  await using stack = new AsyncDisposableStack();
  const start = async (name: ServiceName, others: Partial<Start>) => {
    const told: Start = {
      databaseUrl: databaseUrls[name],
      natsUrl,
      eventPrefix: "obvious",
      inventoryAddress: "",
      ordersAddress: "",
      ...others,
    };
    const child = fork(join(import.meta.dirname, "obvious/main.js"), [name, JSON.stringify(told)]);
    stack.defer(() => child.disconnect());
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return { pid: child.pid!, address: `dns:///127.0.0.1:${port}` };
  };
  const inventory = await start("inventory", {});
  const orders = await start("orders", {});
  const ordersAddress = orders.address;
  const checkout = await start("checkout", { inventoryAddress: inventory.address, ordersAddress });
  const running = stack.move();
  return {
    addresses: { inventory: inventory.address, checkout: checkout.address },
    pids: [inventory.pid, orders.pid, checkout.pid],
    databaseUrls,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
