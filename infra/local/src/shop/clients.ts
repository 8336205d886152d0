import type { DescService } from "@bufbuild/protobuf";
import { createGrpcClient, type GrpcClient, type GrpcClientOptions } from "@emporium/grpc";
import type { Certificates } from "../certificates/certificates.js";
import type { Principal, Tokens } from "../issuer/tokens.js";
import { type ServiceName, serviceNames } from "./services.js";

/** Who calls, and what differs from the usual for that client. */
export interface ShopClientOptions extends Omit<GrpcClientOptions, "address" | "tls"> {
  /** The name in the caller's certificate: a program, or a service that a test stands in for. */
  as: string;
  /** Whose token the calls carry; none where absent. */
  by?: Principal;
  /** Whom to call, where the contract does not tell: health and reflection are everywhere. */
  of?: ServiceName;
}

/** Makes clients of a shop's services. */
export interface ShopClients {
  /**
   * A client with a certificate of its own, which acts for somebody.
   *
   * @example
   * using orders = await shop.client(OrderService, { as: "demo", by: "ada" });
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
  tokens: Tokens,
): ShopClients {
  return {
    async client(service, { as, by, of = ownerOf(service), ...options }) {
      const source = await certificates.sourceOf(as);
      const tls = { source, server: of };
      const interceptors = [...(options.interceptors ?? []), ...(by ? [tokens.of(by)] : [])];
      return createGrpcClient(service, { ...options, interceptors, address: addresses[of], tls });
    },
  };
}

/** The service whose contract it is: `emporium.orders.v1.OrderService` is that of orders. */
function ownerOf({ typeName }: DescService): ServiceName {
  const owner = serviceNames.find((name) => typeName.startsWith(`emporium.${name}.`));
  if (!owner) throw new TypeError(`${typeName} is no service's own: say whose by "of"`);
  return owner;
}
