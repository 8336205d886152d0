// A gateway in front of a real shop, for the tests of this folder.
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { bootShop, type Shop } from "@emporium/local";
import { testInfrastructure, Tokens } from "@emporium/local/test";
import { create, type GatewayConfig } from "../src/index.js";

/** A shop and its gateway; disposing it stops both. */
export interface TestGateway extends AsyncDisposable {
  readonly url: string;
  readonly shop: Shop;
  readonly tokens: Tokens;
}

/**
 * Boots a shop with two products and a gateway in front of it.
 *
 * @example
 * await using gateway = await openGateway();
 * await fetch(`${gateway.url}/v1/products`);
 */
export async function openGateway(
  config: Partial<GatewayConfig> | ((shop: Shop) => Partial<GatewayConfig>) = {},
): Promise<TestGateway> {
  await using parts = new AsyncDisposableStack();
  const backing = await testInfrastructure();
  const shop = parts.use(await bootShop({ backing }));
  using inventory = await shop.client(InventoryService, { as: "test", by: "admin" });
  for (const [sku, title] of [
    ["MUG", "A mug"],
    ["LAMP", "A lamp"],
  ])
    await inventory.updateProduct({
      product: { sku, title, unitPrice: { currencyCode: "GBP", units: 3n } },
      updateMask: { paths: ["title", "unit_price"] },
      allowMissing: true,
    });
  const gateway = parts.use(
    await create({
      listen: { host: "127.0.0.1", port: 0 },
      tls: await backing.tls("gateway"),
      addresses: shop.addresses,
      logLevel: "silent",
      shutdownGraceMs: 100,
      ...(typeof config === "function" ? config(shop) : config),
    }),
  );
  const running = parts.move();
  return {
    url: `http://${gateway.address}`,
    shop,
    tokens: new Tokens(shop.issuer),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
