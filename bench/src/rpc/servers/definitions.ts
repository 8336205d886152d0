import { join } from "node:path";

/** The contract's files, for servers that read them at run time. */
const root = join(import.meta.dirname, "../../../..");
export const includeDirs = [join(root, "proto"), join(root, "third_party/proto")];
export const files = [
  "emporium/inventory/v1/inventory_service.proto",
  "emporium/orders/v1/order_service.proto",
];
