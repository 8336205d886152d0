import { bootInfrastructure, bootShop, type Infrastructure, type Shop } from "@emporium/local";
import { pin } from "../server-process.js";
import type { Watched } from "./cost.js";

/** A shop whose servers share the first core; what calls them is on the second. */
export interface PinnedShop extends AsyncDisposable {
  shop: Shop;
  infrastructure: Infrastructure;
  /** Of Postgres and of a service, or of all, as `costOf` watches them. */
  watched: (name?: "inventory" | "orders" | "checkout") => Pick<Watched, "pids" | "postmaster">;
}

/** Opens a shop of processes, with so many servers of each service. */
export async function openPinnedShop(replicas = 1): Promise<PinnedShop> {
  await using stack = new AsyncDisposableStack();
  const infrastructure = stack.use(await bootInfrastructure({ eventPrefix: "*" }));
  const { postgres, nats, certificates, issuer } = infrastructure;
  const shop = stack.use(
    await bootShop({
      backing: { databases: postgres.databases, natsUrl: nats.url, certificates, issuer },
      processes: true,
      logLevel: "error",
      onLine: (label, line) => process.stderr.write(`${label} | ${line}\n`),
      replicas: { inventory: replicas, orders: replicas, checkout: replicas },
    }),
  );
  const servers = [...shop.servers, postgres, nats, issuer];
  pin(process.pid, 1);
  for (const { pid } of servers) pin(pid, 0);
  const running = stack.move();
  return {
    shop,
    infrastructure,
    watched: (name) => ({
      pids: shop.replicas.flatMap(({ service, pid }) => (!name || service === name ? pid : [])),
      postmaster: postgres.pid,
    }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
