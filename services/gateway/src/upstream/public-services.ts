// Which services stand behind the gateway; their methods come from the descriptors.
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService as OrderServiceV1 } from "@emporium/contracts/orders/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { policyOf } from "@emporium/grpc";

/** The services of the contract, by the name of the service that implements them. */
export const publicServices = {
  inventory: [InventoryService],
  orders: [OrderServiceV1, OrderService],
  checkout: [CheckoutService],
} as const satisfies Record<string, readonly DescService[]>;

/** A service behind the gateway. */
export type UpstreamName = keyof typeof publicServices;

export const upstreamNames = Object.keys(publicServices) as UpstreamName[];

/**
 * Whether the contract lets the gateway call a method: `access` names no `callers`, or names the
 * gateway among them.
 */
export function isPublic(method: DescMethod): boolean {
  const { access } = policyOf(method);
  return (
    access !== undefined && (access.callers.length === 0 || access.callers.includes("gateway"))
  );
}

/** Every scope that a method of the gateway asks for: what a person may be signed in with. */
export function everyScope(): string[] {
  const methods = Object.values(publicServices).flatMap((services) =>
    services.flatMap((service) => service.methods.filter(isPublic)),
  );
  return [...new Set(methods.flatMap((method) => policyOf(method).access?.scopes ?? []))].sort();
}
