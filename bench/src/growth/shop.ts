import { bootInfrastructure, bootShop, type Infrastructure, type Shop } from "@emporium/local";
import { pin } from "../server-process.js";

/** A shop whose servers share the first core; what calls them is on the second. */
export interface PinnedShop extends AsyncDisposable {
  shop: Shop;
  infrastructure: Infrastructure;
  pinned: boolean;
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
  const pinned = pin(process.pid, 1) && servers.map(({ pid }) => pin(pid, 0)).every((done) => done);
  const running = stack.move();
  return { shop, infrastructure, pinned, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** The processes of a service. */
export function pidsOf({ replicas }: Shop, name?: "inventory" | "orders" | "checkout"): number[] {
  return replicas.filter(({ service }) => !name || service === name).map(({ pid }) => pid);
}
