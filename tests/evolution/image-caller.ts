import type { FileRegistry } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import type { GrpcClient } from "@emporium/grpc";
import type { ShopClients } from "@emporium/local";
import { newId } from "@emporium/runtime";
import { serviceOf } from "./image-types.ts";

/** A caller of the shop that has the contract of an image, and no other. */
export class ImageCaller implements Disposable {
  private constructor(
    readonly inventory: GrpcClient<typeof InventoryService>,
    readonly orders: GrpcClient<typeof OrderService>,
    readonly checkout: GrpcClient<typeof CheckoutService>,
  ) {}

  static async of(image: FileRegistry, shop: ShopClients): Promise<ImageCaller> {
    const as = { as: "test" };
    return new ImageCaller(
      await shop.client(serviceOf(image, InventoryService), as),
      await shop.client(serviceOf(image, OrderService), as),
      await shop.client(serviceOf(image, CheckoutService), as),
    );
  }

  /** Puts so many units of a new product on the shelf; returns its SKU. */
  async stock(units: bigint): Promise<string> {
    const sku = newId("sku").replace("_", "-").slice(0, 32);
    const importId = newId("imp");
    const unitPrice = { currencyCode: "GBP", units: 3n, nanos: 390_000_000 };
    const product = { sku, title: "WHITE METAL LANTERN", unitPrice };
    const { applied } = await this.inventory.importStock(
      (async function* () {
        yield { importId, entry: { case: "product" as const, value: product } };
        yield { importId, entry: { case: "adjustment" as const, value: { sku, delta: units } } };
      })(),
    );
    if (applied !== 2n) throw new Error(`The shop took ${applied} of 2 entries`);
    return sku;
  }

  [Symbol.dispose](): void {
    for (const client of [this.inventory, this.orders, this.checkout]) client[Symbol.dispose]();
  }
}
