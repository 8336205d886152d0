import { create, getOption, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Checkout,
  CheckoutState,
  CompleteOrderRequestSchema,
  type PlaceOrder,
  Reason,
  ReasonSchema,
  type SetCartLine,
  type ShopSessionRequest,
  type ShopSessionResponseSchema,
} from "@emporium/contracts/checkout/v1";
import {
  InventoryService,
  type StockItem,
  type StockLevel,
} from "@emporium/contracts/inventory/v1";
import { error_domain } from "@emporium/contracts/options/v1";
import { type Client, ConnectError, InjectClient, reasonOf } from "@emporium/grpc";
import { requireOwner } from "@emporium/identity";
import { Injectable } from "@nestjs/common";
import { Catalogue } from "./catalogue.js";
import { failure } from "./failure.js";
import { type Basket, lineMessages } from "./lines.js";
import { Mailbox } from "./mailbox.js";
import { toMoney } from "./money.js";
import { untilKnown } from "./patience.js";
import { Purchases } from "./purchases.js";
import { Quotes } from "./quotes.js";
import { Timeline } from "./timeline.js";

/** Most products in a cart, as the contract has it for CompleteOrder. */
const MOST_LINES = 1000;

/** Visits to the shop, and what they need of it. */
@Injectable()
export class ShopSessions {
  constructor(
    @InjectClient(InventoryService) readonly inventory: Client<typeof InventoryService>,
    readonly catalogue: Catalogue,
    readonly quotes: Quotes,
    readonly purchases: Purchases,
    readonly timeline: Timeline,
  ) {}

  /** Runs one visit until the visitor has said the last word and got its answer, or leaves. */
  run(
    requests: AsyncIterable<ShopSessionRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<ShopSessionResponseInit> {
    return new ShopSession(this).run(requests, signal);
  }
}

type ShopSessionResponseInit = MessageInitShape<typeof ShopSessionResponseSchema>;
type Update = NonNullable<ShopSessionResponseInit["update"]>;

/**
 * One visit to the shop. Messages of the visitor are answered one after the other; what the stock
 * does by itself comes in between. A visitor who reads slowly is not sent old carts: of those that
 * wait unread only the latest is kept, and no more of his messages are read before he has read.
 */
class ShopSession {
  readonly #updates = new Mailbox<Update>();
  readonly #ended = new AbortController();
  #customerId = "";
  #cart: Basket;
  #stock = new Map<string, StockItem>();
  #watch: { skus: string; control: AbortController } | undefined;

  constructor(private readonly shop: ShopSessions) {
    this.#cart = { lines: [], total: 0n, currency: shop.catalogue.currency };
  }

  async *run(
    requests: AsyncIterable<ShopSessionRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<ShopSessionResponseInit> {
    const leave = () => {
      this.#ended.abort(signal.reason);
      this.#updates.fail(signal.reason);
    };
    signal.addEventListener("abort", leave);
    if (signal.aborted) leave();
    void this.#serve(requests).then(
      () => this.#updates.close(),
      (error: unknown) => this.#updates.fail(error),
    );
    try {
      for await (const update of this.#updates) yield { update };
    } finally {
      signal.removeEventListener("abort", leave);
      this.#ended.abort();
      this.#updates.close();
    }
  }

  async #serve(requests: AsyncIterable<ShopSessionRequest>): Promise<void> {
    let started = false;
    for await (const { action } of requests) {
      if ((action.case === "start") === started) throw outOfOrder(started);
      started = true;
      switch (action.case) {
        case "start":
          this.#customerId = action.value.customerId;
          requireOwner(this.#customerId);
          await this.#offer();
          break;
        case "setLine":
          await this.#unlessRejected(() => this.#setLine(action.value));
          break;
        case "place":
          await this.#unlessRejected(() => this.#place(action.value));
          break;
      }
    }
  }

  async #offer(): Promise<void> {
    const quotes = await this.shop.quotes.offersFor(this.#customerId, this.#ended.signal);
    await this.#updates.post({ case: "offers", value: { quotes } });
  }

  async #setLine({ sku, quantity }: SetCartLine): Promise<void> {
    const units = new Map(this.#cart.lines.map((line) => [line.sku, line.quantity]));
    if (quantity === 0n) units.delete(sku);
    else units.set(sku, quantity);
    if (units.size > MOST_LINES) return this.#reject(`A cart holds at most ${MOST_LINES} products`);
    const lines = [...units].map(([sku, quantity]) => ({ sku, quantity }));
    await this.#fill(lines);
  }

  /** Prices the cart anew, tells it, and watches its stock. */
  async #fill(lines: { sku: string; quantity: bigint }[]): Promise<void> {
    if (lines.length === 0) {
      this.#cart = { ...this.#cart, lines: [], total: 0n };
      this.#stock.clear();
    } else {
      const { signal } = this.#ended;
      const priced = await this.shop.catalogue.price(lines, "cart.lines", signal);
      this.#cart = priced.basket;
      this.#stock = priced.stock;
    }
    await this.#updates.post(this.#pricedCart());
    this.#watchStock();
  }

  async #place(place: PlaceOrder): Promise<void> {
    const { checkoutId, quoteId, paymentToken, shippingAddress } = place;
    const lines = this.#cart.lines.map(({ sku, quantity }) => ({ sku, quantity }));
    if (!quoteId && lines.length === 0) return this.#reject("The cart is empty");
    const request = create(CompleteOrderRequestSchema, {
      checkoutId,
      customerId: this.#customerId,
      basket: quoteId ? { case: "quoteId", value: quoteId } : { case: "cart", value: { lines } },
      paymentToken,
      ...(shippingAddress && { shippingAddress }),
    });
    await this.shop.purchases.start(request, this.#ended.signal);
    let checkout: Checkout | undefined;
    for await (const update of this.shop.timeline.watch(checkoutId, 0, this.#ended.signal)) {
      if (update.step) await this.#updates.post({ case: "step", value: update.step });
      checkout = update.checkout;
    }
    if (!checkout) return;
    await this.#updates.post({ case: "ended", value: checkout });
    if (checkout.state === CheckoutState.COMPLETED) await this.#fill([]);
  }

  /** Tells the shop's refusals to the visitor and goes on; anything else ends the visit. */
  async #unlessRejected(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const found = reasonOf(error);
      if (!(error instanceof ConnectError) || found?.domain !== DOMAIN) throw error;
      await this.#reject(error.rawMessage, Reason[found.reason as keyof typeof Reason]);
    }
  }

  #reject(message: string, reason = Reason.UNSPECIFIED): Promise<void> {
    return this.#updates.post({ case: "rejection", value: { reason, message } });
  }

  #pricedCart(): Update {
    const { lines, total, currency } = this.#cart;
    const priced = lineMessages(lines, currency).map((line) => ({
      line,
      available: this.#stock.get(line.sku)?.level?.available ?? 0n,
    }));
    const available = priced.every(({ line, available }) => line.quantity <= available);
    return { case: "cart", value: { lines: priced, total: toMoney(total, currency), available } };
  }

  /** Watches the stock of what is in the cart; opened again only when other products are. */
  #watchStock(): void {
    const skus = this.#cart.lines.map(({ sku }) => sku).toSorted();
    if (this.#watch?.skus === skus.join()) return;
    this.#watch?.control.abort();
    this.#watch = undefined;
    if (skus.length === 0) return;
    const control = new AbortController();
    this.#watch = { skus: skus.join(), control };
    const signal = AbortSignal.any([control.signal, this.#ended.signal]);
    void this.#follow(skus, signal).catch(() => undefined);
  }

  /** Until the signal fires: a watch that breaks, or lived as long as one may, is opened again. */
  #follow(skus: string[], signal: AbortSignal): Promise<never> {
    return untilKnown({ signal }, async () => {
      for await (const { levels } of this.shop.inventory.watchStock({ skus }, { signal }))
        if (!signal.aborted) this.#takeIn(levels);
      throw new Error("the watch has ended");
    });
  }

  #takeIn(levels: readonly StockLevel[]): void {
    const news = levels.filter(({ sku, revision }) => {
      const known = this.#stock.get(sku)?.level;
      return known && known.revision < revision;
    });
    for (const level of news) {
      const item = this.#stock.get(level.sku);
      if (item) item.level = level;
    }
    if (news.length > 0) this.#updates.replace(this.#pricedCart());
  }
}

const DOMAIN = getOption(ReasonSchema, error_domain);

function outOfOrder(started: boolean): Error {
  const description = started ? "a visit starts once" : "the first message of a visit";
  return failure(Reason.SESSION_OUT_OF_ORDER, `A visit begins with start, once`, {
    fieldViolations: [{ field: "start", description }],
  });
}
