import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { createGrpcClient, type GrpcClient } from "@emporium/grpc";
import * as grpc from "@grpc/grpc-js";

/** Is told the address that answered a call; with every replica of a service there is another. */
type OnAnswer = (service: string, peer: string) => void;

/** The services by their names in compose's network. */
export interface Clients extends Disposable {
  inventory: GrpcClient<typeof InventoryService>;
  orders: GrpcClient<typeof OrderService>;
  checkout: GrpcClient<typeof CheckoutService>;
}

/** Clients of all services, as any program of the shop makes them. */
export function openClients(onAnswer?: OnAnswer): Clients {
  using parts = new DisposableStack();
  const options = (name: string, port: number) => ({
    address: `dns:///${name}:${port}`,
    ...(onAnswer && { channelOptions: { interceptors: [tellPeer(name, onAnswer)] } }),
  });
  const inventory = parts.use(createGrpcClient(InventoryService, options("inventory", 50052)));
  const orders = parts.use(createGrpcClient(OrderService, options("orders", 50051)));
  const checkout = parts.use(createGrpcClient(CheckoutService, options("checkout", 50053)));
  const opened = parts.move();
  return { inventory, orders, checkout, [Symbol.dispose]: () => opened.dispose() };
}

function tellPeer(service: string, onAnswer: OnAnswer): grpc.Interceptor {
  return (options, nextCall) => {
    const call = nextCall(options);
    return new grpc.InterceptingCall(call, {
      start: (metadata, _, next) =>
        next(metadata, {
          onReceiveStatus: (status, next) => {
            if (status.code === grpc.status.OK) onAnswer(service, call.getPeer());
            next(status);
          },
        }),
    });
  };
}
