import type { Message } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService as OrderServiceV1 } from "@emporium/contracts/orders/v1";
import { OrderService as OrderServiceV2 } from "@emporium/contracts/orders/v2";
import { type GrpcClient, type Interceptor, policyOf } from "@emporium/grpc";
import { bootShop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { movableClock, type MovableClock, newId } from "@emporium/runtime";

/** Fails, in the way that the table says. */
export type Provocation = (shop: ReasonShop) => Promise<unknown>;

/** A failure that left the shop. */
export interface Overheard {
  /** `package.Service/Method`. */
  method: string;
  error: unknown;
}

/** A whole shop whose clocks can be moved, and whose callers' failures are all kept. */
export class ReasonShop implements AsyncDisposable {
  readonly overheard: Overheard[] = [];
  readonly inventoryClock: MovableClock = movableClock();
  readonly checkoutClock: MovableClock = movableClock();
  /** Called before a saga commits its reservation. */
  beforeCommit: () => void = () => {};
  readonly #parts = new AsyncDisposableStack();
  inventory!: GrpcClient<typeof InventoryService>;
  ordersV1!: GrpcClient<typeof OrderServiceV1>;
  ordersV2!: GrpcClient<typeof OrderServiceV2>;
  /** Orders as checkout calls it by itself. */
  ordersOfCheckout!: GrpcClient<typeof OrderServiceV2>;
  checkout!: GrpcClient<typeof CheckoutService>;

  static async open(): Promise<ReasonShop> {
    const open = new ReasonShop();
    const shop = open.#parts.use(
      await bootShop({
        backing: await testInfrastructure(),
        settings: {
          inventory: { clock: open.inventoryClock },
          checkout: {
            clock: open.checkoutClock,
            saga: { authorizeMs: 300, callMs: 1_000 },
            faultPoint: (name) => {
              if (name === "before-commit-reservation") open.beforeCommit();
            },
          },
        },
      }),
    );
    // Only checkout may call some methods, and its staff may do all the rest for anybody.
    const options = { as: "checkout", by: "admin" as const, interceptors: [open.#listen] };
    open.inventory = open.#parts.use(await shop.client(InventoryService, options));
    open.ordersV1 = open.#parts.use(await shop.client(OrderServiceV1, options));
    open.ordersV2 = open.#parts.use(await shop.client(OrderServiceV2, options));
    open.ordersOfCheckout = open.#parts.use(
      await shop.client(OrderServiceV2, { ...options, by: "checkout" }),
    );
    open.checkout = open.#parts.use(await shop.client(CheckoutService, options));
    return open;
  }

  readonly #listen: Interceptor = (next) => async (request) => {
    const method = policyOf(request.method).path.slice(1);
    const keep = (error: unknown): never => {
      this.overheard.push({ method, error });
      throw error;
    };
    const response = await next(request).catch(keep);
    if (!response.stream) return response;
    async function* heard(messages: AsyncIterable<Message>) {
      try {
        yield* messages;
      } catch (error) {
        keep(error);
      }
    }
    return { ...response, message: heard(response.message) };
  };

  /** Puts so many units of a new product on the shelf. */
  async stocked(units: bigint): Promise<string> {
    const sku = newId("sku").replace("_", "-");
    const importId = newId("imp");
    const product = { sku, title: "LANTERN", unitPrice: pounds(3n) };
    async function* entries() {
      yield { importId, entry: { case: "product" as const, value: product } };
      yield { importId, entry: { case: "adjustment" as const, value: { sku, delta: units } } };
    }
    await this.inventory.importStock(entries());
    return sku;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

export const pounds = (units: bigint) => ({ currencyCode: "GBP", units, nanos: 0 });
export const euros = (units: bigint) => ({ currencyCode: "EUR", units, nanos: 0 });
/** A product that no shop has. */
export const UNKNOWN = "no-such-product";
