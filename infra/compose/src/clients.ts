import type { DescService } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import {
  type ClientObserver,
  createGrpcClient,
  type GrpcClient,
  tlsFromEnvironment,
} from "@emporium/grpc";
import { Tokens } from "@emporium/local";

/** The services by their names in compose's network. */
export interface Clients extends Disposable {
  inventory: GrpcClient<typeof InventoryService>;
  orders: GrpcClient<typeof OrderService>;
  checkout: GrpcClient<typeof CheckoutService>;
}

/** Programs that call the shop from inside of its network. */
type Program = "delivery" | "load-test";

/** Where a program finds its secret, and what else is its own. */
const SECRETS = "/run/emporium";

/** Clients of all services, with the certificate and the token of a program. */
export async function openClients(as: Program, observer: ClientObserver = {}): Promise<Clients> {
  const source = tlsFromEnvironment(as);
  const tokens = new Tokens({ url: process.env["OIDC_ISSUER_URL"] ?? "", folder: SECRETS });
  // The first call should not spend its time on it.
  await tokens.get(as);
  using parts = new DisposableStack();
  const open = <Service extends DescService>(service: Service, server: string, port: number) =>
    parts.use(
      createGrpcClient(service, {
        address: `dns:///${server}:${port}`,
        tls: { source, server },
        interceptors: [tokens.of(as)],
        observers: [observer],
      }),
    );
  const inventory = open(InventoryService, "inventory", 50052);
  const orders = open(OrderService, "orders", 50051);
  const checkout = open(CheckoutService, "checkout", 50053);
  const opened = parts.move();
  return { inventory, orders, checkout, [Symbol.dispose]: () => opened.dispose() };
}
