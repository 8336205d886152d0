import type { CheckoutConfig } from "@emporium/checkout";
import type { TlsFiles } from "@emporium/grpc";
import type { InventoryConfig } from "@emporium/inventory";
import type { OrdersConfig } from "@emporium/orders";

/** The services, each after those that it calls: the last one is the first to be stopped. */
export const serviceNames = ["inventory", "orders", "checkout"] as const;

/** A service of the shop. */
export type ServiceName = (typeof serviceNames)[number];

/** What a process of any service is started with; each takes from it what it needs. */
export interface ServiceStart {
  listen: { host: string; port: number };
  tlsFiles: TlsFiles;
  databaseUrl: string;
  nats: { servers: string; prefix: string };
  /** Where the keys are that data at rest is sealed with. */
  dataKeysFile: string;
  inventoryAddress: string;
  ordersAddress: string;
  currency: string;
  logLevel: string;
  shutdownGraceMs: number;
}

/** Settings of the services in this process, beyond what the shop tells them. */
export interface ServiceSettings {
  inventory?: Partial<InventoryConfig>;
  orders?: Partial<OrdersConfig>;
  checkout?: Partial<CheckoutConfig>;
}

/** The same as environment variables, for a process of its own. */
export function environmentOf(start: ServiceStart): Record<string, string> {
  return {
    GRPC_LISTEN_ADDR: `${start.listen.host}:${start.listen.port}`,
    TLS_CERT_FILE: start.tlsFiles.certFile,
    TLS_KEY_FILE: start.tlsFiles.keyFile,
    TLS_CA_FILE: start.tlsFiles.caFile,
    DATABASE_URL: start.databaseUrl,
    NATS_URL: start.nats.servers,
    EVENT_PREFIX: start.nats.prefix,
    DATA_KEYS_FILE: start.dataKeysFile,
    INVENTORY_ADDR: start.inventoryAddress,
    ORDERS_ADDR: start.ordersAddress,
    SHOP_CURRENCY: start.currency,
    LOG_LEVEL: start.logLevel,
    SHUTDOWN_GRACE_MS: String(start.shutdownGraceMs),
  };
}

/**
 * Loads a service's module, when it is needed: what it brings along takes a second.
 *
 * @example
 * const { schema } = await loadService("orders");
 */
export function loadService(name: ServiceName) {
  const modules = {
    inventory: () => import("@emporium/inventory"),
    orders: () => import("@emporium/orders"),
    checkout: () => import("@emporium/checkout"),
  };
  return modules[name]();
}
