import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { createGrpcClient, type GrpcClient } from "@emporium/grpc";
import { clientKeyFile, type Infrastructure, Tokens } from "@emporium/local";
import type { Start } from "./obvious/service.js";

type ServiceName = "inventory" | "orders" | "checkout";

/** A shop of which the bench needs to know where it is, and what its processes have used. */
export interface BenchedShop {
  checkout: GrpcClient<typeof CheckoutService>;
  pids: number[];
  databaseUrls: Record<ServiceName, string>;
}

/** Starts the three services that are written the obvious way, each in a process of its own. */
export async function openObviousShop(
  databaseUrls: Record<ServiceName, string>,
  { nats, certificates, issuer }: Infrastructure,
): Promise<BenchedShop & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const start = async (name: ServiceName, others: Partial<Start>) => {
    const told: Start = {
      databaseUrl: databaseUrls[name],
      natsUrl: nats.url,
      tlsFiles: await certificates.filesOf(name),
      oidc: {
        issuer: issuer.url,
        audience: "emporium",
        keyFile: clientKeyFile(issuer.folder, name),
      },
      inventoryAddress: "",
      ordersAddress: "",
      ...others,
    };
    const child = fork(join(import.meta.dirname, "obvious/main.js"), [name, JSON.stringify(told)], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: told.tlsFiles.caFile },
    });
    stack.defer(() => child.disconnect());
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return { pid: child.pid!, address: `dns:///127.0.0.1:${port}` };
  };
  const inventory = await start("inventory", {});
  const orders = await start("orders", {});
  const ordersAddress = orders.address;
  const checkout = await start("checkout", { inventoryAddress: inventory.address, ordersAddress });
  const source = await certificates.sourceOf("replay");
  const client = stack.use(
    createGrpcClient(CheckoutService, {
      address: checkout.address,
      tls: { source, server: "checkout" },
      interceptors: [new Tokens(issuer).of("replay")],
    }),
  );
  const running = stack.move();
  return {
    checkout: client,
    pids: [inventory.pid, orders.pid, checkout.pid],
    databaseUrls,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
