import {
  CheckoutService,
  type CompleteOrderRequest,
  type CreateQuoteRequest,
  type GetCheckoutRequest,
  type ShopSessionRequest,
  type WatchCheckoutRequest,
} from "@emporium/contracts/checkout/v1";
import { GrpcController, type HandlerContext, type ServiceImpl } from "@emporium/grpc";
import { Purchases } from "./purchases.js";
import { Quotes } from "./quotes.js";
import { ShopSessions } from "./shop-session.js";
import { Timeline } from "./timeline.js";

@GrpcController(CheckoutService)
export class CheckoutController implements ServiceImpl<typeof CheckoutService> {
  constructor(
    private readonly purchases: Purchases,
    private readonly quotes: Quotes,
    private readonly timeline: Timeline,
    private readonly sessions: ShopSessions,
  ) {}

  async createQuote(request: CreateQuoteRequest, { signal }: HandlerContext) {
    return { quote: await this.quotes.create(request, signal) };
  }

  async completeOrder(request: CompleteOrderRequest, { signal }: HandlerContext) {
    return { checkout: await this.purchases.complete(request, signal) };
  }

  getCheckout({ checkoutId }: GetCheckoutRequest, { signal }: HandlerContext) {
    return this.timeline.get(checkoutId, signal);
  }

  async *watchCheckout(
    { checkoutId, resumeToken }: WatchCheckoutRequest,
    { signal }: HandlerContext,
  ) {
    yield* this.timeline.resume(checkoutId, resumeToken, signal);
  }

  async *shopSession(requests: AsyncIterable<ShopSessionRequest>, { signal }: HandlerContext) {
    yield* this.sessions.run(requests, signal);
  }
}
