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

/** The services by their names in compose's network. */
export interface Clients extends Disposable {
  inventory: GrpcClient<typeof InventoryService>;
  orders: GrpcClient<typeof OrderService>;
  checkout: GrpcClient<typeof CheckoutService>;
}

/** Clients of all services, with the certificate of the program `as`, which the environment names. */
export function openClients(as: string, observer: ClientObserver = {}): Clients {
  const source = tlsFromEnvironment(as);
  using parts = new DisposableStack();
  const open = <Service extends DescService>(service: Service, server: string, port: number) =>
    parts.use(
      createGrpcClient(service, {
        address: `dns:///${server}:${port}`,
        tls: { source, server },
        observers: [observer],
      }),
    );
  const inventory = open(InventoryService, "inventory", 50052);
  const orders = open(OrderService, "orders", 50051);
  const checkout = open(CheckoutService, "checkout", 50053);
  const opened = parts.move();
  return { inventory, orders, checkout, [Symbol.dispose]: () => opened.dispose() };
}
