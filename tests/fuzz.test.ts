import type { DescService } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { OrderService as OrderServiceV2 } from "@emporium/contracts/orders/v2";
import { bootShop, type Shop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fuzz } from "../packages/grpc/test/hostile/fuzz.js";

/** S8, for every service of the shop. `FUZZ_SECONDS=60` looks longer. */
const DURATION_MS = Number(process.env["FUZZ_SECONDS"] ?? 10) * 1000;

let shop: Shop;
beforeAll(async () => {
  shop = await bootShop({ backing: await testInfrastructure() });
});
afterAll(() => shop?.[Symbol.asyncDispose]());

const services: [string, DescService][] = [
  InventoryService,
  OrderService,
  OrderServiceV2,
  CheckoutService,
].map((service) => [service.typeName, service]);

test.each(services)(
  "%s answers random and broken messages with a status that tells nothing",
  {
    timeout: DURATION_MS + 120_000,
  },
  async (_, service) => {
    // Who may the most: others are refused before their message matters.
    using client = await shop.client(service, { as: "checkout", by: "admin" });
    const statuses = await fuzz(service, client, { durationMs: DURATION_MS });
    expect(Object.keys(statuses)).toContain("InvalidArgument");
    // The service is still there, and answers what it understands.
    await fuzz(service, client, { durationMs: 0 });
  },
);
