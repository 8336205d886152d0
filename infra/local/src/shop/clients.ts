import type { DescService } from "@bufbuild/protobuf";
import { createGrpcClient, type GrpcClient, type GrpcClientOptions } from "@emporium/grpc";
import type { Certificates } from "../certificates/certificates.js";
import { type ServiceName, serviceNames } from "./services.js";

/** Who calls, and what differs from the usual for that client. */
export interface ShopClientOptions extends Omit<GrpcClientOptions, "address" | "tls"> {
  /** The name in the caller's certificate: a program, or a service that a test stands in for. */
  as: string;
  /** Whom to call, where the contract does not tell: health and reflection are everywhere. */
  of?: ServiceName;
}

/** Makes clients of a shop's services. */
export interface ShopClients {
  /**
   * A client with a certificate of its own.
   *
   * @example
   * using orders = await shop.client(OrderService, { as: "demo" });
   */
  client<Service extends DescService>(
    service: Service,
    options: ShopClientOptions,
  ): Promise<GrpcClient<Service>>;
}

/** Makes clients of the services at these addresses. */
export function clientsOf(
  addresses: Record<ServiceName, string>,
  certificates: Certificates,
): ShopClients {
  return {
    async client(service, { as, of = ownerOf(service), ...options }) {
      const source = await certificates.sourceOf(as);
      const tls = { source, server: of };
      return createGrpcClient(service, { ...options, address: addresses[of], tls });
    },
  };
}

/** The service whose contract it is: `emporium.orders.v1.OrderService` is that of orders. */
function ownerOf({ typeName }: DescService): ServiceName {
  const owner = serviceNames.find((name) => typeName.startsWith(`emporium.${name}.`));
  if (!owner) throw new TypeError(`${typeName} is no service's own: say whose by "of"`);
  return owner;
}
