import { equals } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  InventoryService,
  Reason as InventoryReason,
  ReasonSchema as InventoryReasonSchema,
  type ReserveStockRequest,
  ReserveStockRequestSchema,
  ReservationState,
} from "@emporium/contracts/inventory/v1";
import {
  type CreateOrderRequest,
  CreateOrderRequestSchema,
  OrderService,
  OrderState,
  Reason as OrdersReason,
  ReasonSchema as OrdersReasonSchema,
} from "@emporium/contracts/orders/v2";
import {
  Code,
  ConnectError,
  createFailure,
  type HandlerContext,
  type ServiceImpl,
} from "@emporium/grpc";
import type { Faults } from "./faults.js";

const inventoryFailure = createFailure<InventoryReason>(InventoryReasonSchema);
const ordersFailure = createFailure<OrdersReason>(OrdersReasonSchema);

interface Product {
  title: string;
  pence: bigint | undefined;
  onHand: bigint;
  reserved: bigint;
  revision: bigint;
}

/** Inventory's contract in memory, as far as checkout calls it; its calls can be made to fail. */
export class Warehouse {
  readonly products = new Map<string, Product>();
  readonly reservations = new Map<
    string,
    { state: ReservationState; request?: ReserveStockRequest }
  >();
  /** Watches of stock that are open. */
  openWatches = 0;
  #changed = Promise.withResolvers<void>();

  constructor(private readonly faults: Faults) {}

  stock(sku: string, onHand: number, pence?: number, title = `Product ${sku}`): void {
    const before = this.products.get(sku);
    this.products.set(sku, {
      title,
      pence: pence === undefined ? before?.pence : BigInt(pence),
      onHand: BigInt(onHand),
      reserved: before?.reserved ?? 0n,
      revision: (before?.revision ?? 0n) + 1n,
    });
    this.#tell();
  }

  /** Every watch of stock that is open fails. */
  breakWatches(): void {
    this.#changed.reject(new ConnectError("connection reset", Code.Unavailable));
    this.#changed = Promise.withResolvers();
  }

  /** The time of a purchase's reservation runs out. */
  expire(id: string): void {
    this.#expireNow(`rsv${id.slice(3)}`);
  }

  readonly service: Partial<ServiceImpl<typeof InventoryService>> = {
    checkStock: ({ skus }, { signal }) =>
      this.faults.play("checkStock", "", signal, () => {
        const unknown = skus.flatMap((sku, index) =>
          this.products.has(sku)
            ? []
            : [{ field: `skus[${index}]`, description: `there is no product ${sku}` }],
        );
        if (unknown.length > 0)
          throw inventoryFailure(InventoryReason.PRODUCT_NOT_FOUND, "No such product", {
            fieldViolations: unknown,
          });
        return {
          items: skus.map((sku) => ({ product: this.#product(sku), level: this.#level(sku) })),
        };
      }),
    reserveStock: (request, { signal }) =>
      this.faults.play(
        "reserveStock",
        request.reservationId,
        signal,
        () => this.#reserve(request),
        () => shortage("refused by the script"),
      ),
    commitReservation: ({ reservationId }, { signal }) =>
      this.faults.play(
        "commitReservation",
        reservationId,
        signal,
        () => this.#commit(reservationId),
        () => this.#expireNow(reservationId),
      ),
    releaseReservation: ({ reservationId }, { signal }) =>
      this.faults.play("releaseReservation", reservationId, signal, () =>
        this.#release(reservationId),
      ),
    watchStock: (request, context) => this.#watch(request.skus, context),
  };

  async *#watch(skus: string[], { signal }: HandlerContext) {
    this.openWatches += 1;
    const left = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => left.resolve());
    try {
      while (!signal.aborted) {
        const { promise } = this.#changed;
        yield { levels: skus.map((sku) => this.#level(sku)) };
        await Promise.race([promise, left.promise]);
      }
    } finally {
      this.openWatches -= 1;
    }
  }

  #reserve(request: ReserveStockRequest) {
    const known = this.reservations.get(request.reservationId);
    if (known?.request && !equals(ReserveStockRequestSchema, known.request, request))
      throw inventoryFailure(InventoryReason.RESERVATION_MISMATCH, "Other lines", resource());
    if (known && !known.request)
      throw inventoryFailure(InventoryReason.RESERVATION_NOT_HELD, "Closed", precondition());
    if (known?.state === ReservationState.REFUSED) throw shortage("as before");
    if (known) return this.#answer(request.reservationId, known.state);
    const short = request.lines.some(({ sku, quantity }) => quantity > this.#available(sku));
    const state = short ? ReservationState.REFUSED : ReservationState.HELD;
    this.reservations.set(request.reservationId, { state, request });
    if (short) throw shortage("too few");
    this.#move(request, (product, quantity) => (product.reserved += quantity));
    return this.#answer(request.reservationId, state);
  }

  #commit(reservationId: string) {
    const known = this.reservations.get(reservationId);
    if (known?.state === ReservationState.EXPIRED) throw this.#expireNow(reservationId);
    if (known?.state === ReservationState.HELD) this.#end(known, ReservationState.COMMITTED);
    if (known?.state !== ReservationState.COMMITTED)
      throw inventoryFailure(InventoryReason.RESERVATION_NOT_HELD, "Not held", precondition());
    return this.#answer(reservationId, known.state);
  }

  #release(reservationId: string) {
    const known = this.reservations.get(reservationId) ?? { state: ReservationState.RELEASED };
    this.reservations.set(reservationId, known);
    if (known.state === ReservationState.COMMITTED)
      throw inventoryFailure(InventoryReason.RESERVATION_COMMITTED, "Sold", precondition());
    if (known.state === ReservationState.HELD) this.#end(known, ReservationState.RELEASED);
    return this.#answer(reservationId, known.state);
  }

  #expireNow(reservationId: string): Error {
    const known = this.reservations.get(reservationId);
    if (known?.state === ReservationState.HELD) this.#end(known, ReservationState.EXPIRED);
    return inventoryFailure(InventoryReason.RESERVATION_EXPIRED, "Too late", precondition());
  }

  #end(
    reservation: { state: ReservationState; request?: ReserveStockRequest },
    state: ReservationState,
  ) {
    reservation.state = state;
    if (!reservation.request) return;
    this.#move(reservation.request, (product, quantity) => {
      product.reserved -= quantity;
      if (state === ReservationState.COMMITTED) product.onHand -= quantity;
    });
  }

  #move({ lines }: ReserveStockRequest, change: (product: Product, quantity: bigint) => void) {
    for (const { sku, quantity } of lines) {
      const product = this.products.get(sku);
      if (!product) throw new Error(`there is no product ${sku}`);
      change(product, quantity);
      product.revision += 1n;
    }
    this.#tell();
  }

  #answer(reservationId: string, state: ReservationState) {
    return { reservation: { reservationId, state } };
  }

  #product(sku: string) {
    const { title, pence } = this.products.get(sku) ?? {};
    const unitPrice = pence !== undefined && {
      currencyCode: "GBP",
      units: pence / 100n,
      nanos: Number(pence % 100n) * 10_000_000,
    };
    return { sku, title: title ?? "", ...(unitPrice && { unitPrice }) };
  }

  #level(sku: string) {
    const { onHand = 0n, reserved = 0n, revision = 0n } = this.products.get(sku) ?? {};
    return { sku, onHand, reserved, available: onHand - reserved, revision };
  }

  #available(sku: string): bigint {
    return this.#level(sku).available;
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** Orders' contract in memory, as far as checkout calls it; its calls can be made to fail. */
export class OrderBook {
  readonly orders = new Map<string, { state: OrderState; request: CreateOrderRequest }>();
  /** Ids of orders that were cancelled before they were placed. */
  readonly closed = new Set<string>();

  constructor(private readonly faults: Faults) {}

  readonly service: Partial<ServiceImpl<typeof OrderService>> = {
    createOrder: (request, { signal }) =>
      this.faults.play(
        "createOrder",
        request.orderId,
        signal,
        () => this.#create(request),
        mismatch,
      ),
    cancelOrder: ({ orderId }, { signal }) =>
      this.faults.play("cancelOrder", orderId, signal, () => {
        const known = this.orders.get(orderId);
        if (!known) {
          this.closed.add(orderId);
          return {};
        }
        known.state = OrderState.CANCELLED;
        return { order: { orderId, status: { state: known.state } } };
      }),
  };

  #create(request: CreateOrderRequest) {
    if (this.closed.has(request.orderId)) throw closed(request.orderId);
    const known = this.orders.get(request.orderId);
    if (known && !equals(CreateOrderRequestSchema, known.request, request)) throw mismatch();
    const order = known ?? { state: OrderState.PLACED, request };
    this.orders.set(request.orderId, order);
    return { order: { orderId: request.orderId, status: { state: order.state } } };
  }
}

/** Clients of both without a network between. */
export function clientsOf(
  warehouse: Warehouse,
  orderBook: OrderBook,
): { inventory: Client<typeof InventoryService>; orders: Client<typeof OrderService> } {
  const transport = createRouterTransport(({ service }) => {
    service(InventoryService, warehouse.service);
    service(OrderService, orderBook.service);
  });
  return {
    inventory: createClient(InventoryService, transport),
    orders: createClient(OrderService, transport),
  };
}

function shortage(description: string): Error {
  return inventoryFailure(InventoryReason.OUT_OF_STOCK, "Fewer units than wanted", {
    violations: [{ type: "STOCK", subject: "TEA", description }],
  });
}

function mismatch(): Error {
  return ordersFailure(OrdersReason.ORDER_MISMATCH, "Another order", resource());
}

function closed(orderId: string): Error {
  return ordersFailure(OrdersReason.ORDER_CANCELLED, "Cancelled before it was placed", {
    violations: [{ type: "ORDER_STATE", subject: orderId, description: "in a test" }],
  });
}

function precondition() {
  return { violations: [{ type: "RESERVATION_STATE", subject: "rsv", description: "in a test" }] };
}

function resource() {
  return { resourceType: "test", resourceName: "test", description: "in a test" };
}
