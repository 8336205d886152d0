import {
  type CancelOrderRequest,
  type CreateOrderRequest,
  type ExportOrdersRequest,
  type GetOrderRequest,
  type ListOrdersRequest,
  OrderService,
  type ReturnItemsRequest,
  type WatchOrderRequest,
} from "@emporium/contracts/orders/v2";
import { GrpcController, type HandlerContext, type ServiceImpl } from "@emporium/grpc";
import { OrderPages } from "./order-pages.js";
import { OrderWatch } from "./order-watch.js";
import { Orders } from "./orders.js";
import { Returns } from "./returns.js";

@GrpcController(OrderService)
export class OrdersController implements ServiceImpl<typeof OrderService> {
  constructor(
    private readonly orders: Orders,
    private readonly pages: OrderPages,
    private readonly returns: Returns,
    private readonly watches: OrderWatch,
  ) {}

  async createOrder(request: CreateOrderRequest, { signal }: HandlerContext) {
    return { order: await this.orders.place(request, signal) };
  }

  async getOrder({ orderId }: GetOrderRequest, { signal }: HandlerContext) {
    return { order: await this.orders.get(orderId, signal) };
  }

  listOrders(request: ListOrdersRequest, { signal }: HandlerContext) {
    return this.pages.list(request, signal);
  }

  async cancelOrder(request: CancelOrderRequest, { signal }: HandlerContext) {
    const order = await this.orders.cancel(request, signal);
    return order ? { order } : {};
  }

  async returnItems(request: ReturnItemsRequest, { signal }: HandlerContext) {
    return { return: await this.returns.take(request, signal) };
  }

  async *watchOrder(request: WatchOrderRequest, { signal }: HandlerContext) {
    yield* this.watches.watch(request, signal);
  }

  async *exportOrders(request: ExportOrdersRequest, { signal }: HandlerContext) {
    yield* this.pages.export(request, signal);
  }
}
