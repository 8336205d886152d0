import { create } from "@bufbuild/protobuf";
import {
  type Checkout,
  CheckoutSchema,
  type CompleteOrderRequest,
  CompleteOrderRequestSchema,
  Reason,
} from "@emporium/contracts/checkout/v1";
import { Database, DataKeys } from "@emporium/database";
import { requireOwner } from "@emporium/identity";
import { Inject, Injectable } from "@nestjs/common";
import { Catalogue } from "./catalogue.js";
import { checkoutMessage } from "./checkout-message.js";
import { findCheckout, insertCheckout } from "./checkouts.js";
import type { CheckoutRow } from "./checkout-row.js";
import { type Settings, SETTINGS } from "./config.js";
import { contentHash } from "./content-hash.js";
import { failure } from "./failure.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import type { Basket } from "./lines.js";
import { unlessAborted } from "./patience.js";
import { Quotes } from "./quotes.js";
import { toFailure } from "./refusals.js";
import { SagaRuns } from "./saga-runs.js";
import { sealAddress } from "./sealed-address.js";
import { Timeline } from "./timeline.js";

/** Purchases as customers ask for them: each is written down once, then driven to its end. */
@Injectable()
export class Purchases {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly dataKeys: DataKeys,
    private readonly catalogue: Catalogue,
    private readonly quotes: Quotes,
    private readonly runs: SagaRuns,
    private readonly timeline: Timeline,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /**
   * Buys, or waits for the purchase that the id stands for already. The signal ends the waiting,
   * not the purchase. Fails as the contract says where it is refused.
   */
  async complete(request: CompleteOrderRequest, signal: AbortSignal): Promise<Checkout> {
    const started = await this.start(request, signal);
    using _token = this.runs.offerToken(started.checkoutId, request.paymentToken);
    const checkout = await this.end(started, signal);
    if (checkout.refusal) throw toFailure(checkout.refusal);
    return checkoutMessage(checkout);
  }

  /**
   * Writes a purchase down and starts it; where the id stands for it already, gives it as it is.
   * Fails where it is refused before anything was written.
   */
  async start(request: CompleteOrderRequest, signal: AbortSignal): Promise<CheckoutRow> {
    const { checkoutId, customerId, basket, paymentToken, shippingAddress } = request;
    requireOwner(customerId);
    const hash = contentHash(CompleteOrderRequestSchema, withoutToken(request));
    const known =
      this.runs.find(checkoutId)?.checkout ??
      (await findCheckout(this.database, checkoutId, signal));
    if (known) return sameOrFail(known, hash);
    const createTime = this.settings.clock.now();
    const checkout: CheckoutRow = {
      checkoutId,
      customerId,
      quoteId: basket.case === "quoteId" ? basket.value : null,
      ...(await this.#basketOf(request, signal)),
      state: "RUNNING",
      shippingAddress: sealAddress(this.dataKeys, checkoutId, shippingAddress),
      refusal: null,
      steps: [{ kind: "STARTED", time: createTime.toISOString() }],
      contentHash: hash,
      createTime,
      endTime: null,
      fence: 1,
    };
    await this.settings.faultPoint("before-start");
    const inserted = await insertCheckout(this.database, checkout, this.runs.lease);
    await this.settings.faultPoint("after-start");
    // Somebody used the id, or bought the quote, at the same moment: then it is known by now.
    if (!inserted) return this.start(request, signal);
    return this.runs.start(checkout, paymentToken).checkout;
  }

  /** The checkout once it has ended, whoever drives it. */
  async end(checkout: CheckoutRow, signal: AbortSignal): Promise<CheckoutRow> {
    if (checkout.endTime) return checkout;
    const run = this.runs.find(checkout.checkoutId);
    const ended = run && (await unlessAborted(signal, run.ended));
    return ended ?? this.timeline.end(checkout.checkoutId, signal);
  }

  async #basketOf(
    { basket, customerId }: CompleteOrderRequest,
    signal: AbortSignal,
  ): Promise<Basket> {
    if (basket.case === "quoteId") return this.quotes.basketFor(basket.value, customerId, signal);
    const lines = basket.value?.lines ?? [];
    return (await this.catalogue.price(lines, "cart.lines", signal)).basket;
  }
}

/** What makes two requests the same; the token may be another one when a customer tries again. */
function withoutToken(request: CompleteOrderRequest): CompleteOrderRequest {
  return create(CompleteOrderRequestSchema, { ...request, paymentToken: "" });
}

function sameOrFail(known: CheckoutRow, hash: Buffer): CheckoutRow {
  if (hash.equals(known.contentHash)) return known;
  throw failure(Reason.CHECKOUT_MISMATCH, `${known.checkoutId} stands for another purchase`, {
    resourceType: CheckoutSchema.typeName,
    resourceName: known.checkoutId,
    description: "The id was used for a purchase with other content",
  });
}
