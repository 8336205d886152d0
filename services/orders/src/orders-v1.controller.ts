import {
  type CancelOrderRequest,
  type CreateOrderRequest,
  type ExportOrdersRequest,
  type GetOrderRequest,
  type ListOrdersRequest,
  OrderService,
  type ReturnItemsRequest,
  type WatchOrderRequest,
} from "@emporium/contracts/orders/v1";
import { GrpcController, type HandlerContext, type ServiceImpl } from "@emporium/grpc";
import { OrderPages } from "./order-pages.js";
import { OrderWatch } from "./order-watch.js";
import { Orders } from "./orders.js";
import { Returns } from "./returns.js";
import { toV1Failure } from "./v1-failure.js";
import {
  fromV1CancelRequest,
  fromV1CreateRequest,
  fromV1ReturnRequest,
  toV1Order,
  toV1Return,
} from "./v1-message.js";

/** The first version of the contract, in front of the same orders as the second. */
@GrpcController(OrderService)
export class OrdersV1Controller implements ServiceImpl<typeof OrderService> {
  constructor(
    private readonly orders: Orders,
    private readonly pages: OrderPages,
    private readonly returns: Returns,
    private readonly watches: OrderWatch,
  ) {}

  createOrder(request: CreateOrderRequest, { signal }: HandlerContext) {
    return answer(async () => ({
      order: toV1Order(await this.orders.place(fromV1CreateRequest(request), signal)),
    }));
  }

  getOrder({ orderId }: GetOrderRequest, { signal }: HandlerContext) {
    return answer(async () => ({ order: toV1Order(await this.orders.get(orderId, signal)) }));
  }

  async listOrders(request: ListOrdersRequest, { signal }: HandlerContext) {
    const { orders, nextPageToken } = await this.pages.list(request, signal);
    return { orders: orders.map(toV1Order), nextPageToken };
  }

  cancelOrder(request: CancelOrderRequest, { signal }: HandlerContext) {
    return answer(async () => {
      const order = await this.orders.cancel(fromV1CancelRequest(request), signal);
      return order ? { order: toV1Order(order) } : {};
    });
  }

  returnItems(request: ReturnItemsRequest, { signal }: HandlerContext) {
    return answer(async () => ({
      return: toV1Return(await this.returns.take(fromV1ReturnRequest(request), signal)),
    }));
  }

  async *watchOrder(request: WatchOrderRequest, { signal }: HandlerContext) {
    try {
      for await (const told of this.watches.watch(request, signal))
        yield {
          order: toV1Order(told.order),
          ...(told.return && { return: toV1Return(told.return) }),
          resumeToken: told.resumeToken,
        };
    } catch (error) {
      throw toV1Failure(error);
    }
  }

  async *exportOrders(request: ExportOrdersRequest, { signal }: HandlerContext) {
    for await (const { order, resumeToken } of this.pages.export(request, signal))
      yield { order: toV1Order(order), resumeToken };
  }
}

/** What the work answers with, or its failure as v1 tells it. */
async function answer<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toV1Failure(error);
  }
}
