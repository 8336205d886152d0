import {
  type CheckoutAdvanced,
  CheckoutAdvancedSchema,
  CheckoutSchema,
  CheckoutState,
  Reason,
} from "@emporium/contracts/checkout/v1";
import { EngineReason } from "@emporium/contracts/options/v1";
import { Database } from "@emporium/database";
import { Events, watch } from "@emporium/events";
import { engineFailure } from "@emporium/grpc";
import { requireOwner } from "@emporium/identity";
import { Injectable } from "@nestjs/common";
import { advancedMessage, checkoutMessage, stepMessage } from "./checkout-message.js";
import { findCheckout } from "./checkouts.js";
import type { CheckoutRow } from "./checkout-row.js";
import { failure } from "./failure.js";
import type { PrismaClient } from "./generated/prisma/client.js";

/** Events tell of a step at once; for the time that NATS is away, watchers look for themselves. */
const LOOK_AGAIN_MS = 5_000;

/** What happened to checkouts, as those see it who do not drive them. The rows are the truth. */
@Injectable()
export class Timeline {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly events: Events<PrismaClient>,
  ) {}

  /** A checkout with its steps so far. */
  async get(checkoutId: string, signal: AbortSignal) {
    const row = await this.#find(checkoutId, signal);
    requireOwner(row.customerId);
    const steps = row.steps.map((_, index) => stepMessage(row, index + 1));
    return { checkout: checkoutMessage(row), steps };
  }

  /** The checkout's row once it has ended. */
  async end(checkoutId: string, signal: AbortSignal): Promise<CheckoutRow> {
    for await (const _ of this.watch(checkoutId, 0, signal));
    signal.throwIfAborted();
    return this.#find(checkoutId, signal);
  }

  /** Each step after the one that a resume token names, as it happens; all where it is empty. */
  async *resume(checkoutId: string, resumeToken: string, signal: AbortSignal) {
    const seen = resumeToken ? sequenceIn(resumeToken, checkoutId) : 0;
    const { customerId, steps } = await this.#find(checkoutId, signal);
    requireOwner(customerId);
    if (seen > steps.length) throw invalidResumeToken("It names a step that has not happened");
    for await (const { step, checkout } of this.watch(checkoutId, seen, signal))
      yield { step, checkout, resumeToken: resumeTokenFor(checkoutId, step?.sequence ?? 0) };
  }

  /**
   * Each step after the first `seen` ones, without gaps, as it happens, with the checkout after it.
   * Ends when the checkout has ended, or when the signal fires.
   */
  async *watch(
    checkoutId: string,
    seen: number,
    signal: AbortSignal,
  ): AsyncGenerator<CheckoutAdvanced> {
    const { endTime, steps } = await this.#find(checkoutId, signal);
    if (endTime && seen >= steps.length) return;
    while (!signal.aborted) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_AGAIN_MS)]);
      for await (const { items } of this.#batches(checkoutId, seen, limit))
        for (const item of items) {
          yield item;
          seen += 1;
          if (item.checkout?.state !== CheckoutState.RUNNING) return;
        }
    }
  }

  #batches(checkoutId: string, seen: number, signal: AbortSignal) {
    return watch<CheckoutAdvanced>({
      feed: this.events.feed("checkout"),
      select: (event) => {
        if (event.meta.aggregateId !== checkoutId) return [];
        const item = event.as(CheckoutAdvancedSchema);
        return item ? [item] : [];
      },
      key: () => checkoutId,
      revision: ({ step }) => BigInt(step?.sequence ?? 0),
      backfill: (known) =>
        this.#stepsAfter(checkoutId, Number(known.get(checkoutId) ?? 0n), signal),
      overflow: "fail",
      seen: [[checkoutId, BigInt(seen)]],
      signal,
    });
  }

  async *#stepsAfter(checkoutId: string, seen: number, signal: AbortSignal) {
    const row = await this.#find(checkoutId, signal);
    const unseen = row.steps.slice(seen);
    yield unseen.map((_, index) => advancedMessage(row, seen + index + 1));
  }

  async #find(checkoutId: string, signal: AbortSignal): Promise<CheckoutRow> {
    const row = await findCheckout(this.database, checkoutId, signal);
    if (row) return row;
    throw failure(Reason.CHECKOUT_NOT_FOUND, `There is no checkout ${checkoutId}`, {
      resourceType: CheckoutSchema.typeName,
      resourceName: checkoutId,
      description: "No checkout has this id",
    });
  }
}

/** Tokens say where a reader stands and grant nothing, so they are not signed. */
function resumeTokenFor(checkoutId: string, sequence: number): string {
  return Buffer.from(`WatchCheckout.1 ${checkoutId} ${sequence}`).toString("base64url");
}

function sequenceIn(resumeToken: string, checkoutId: string): number {
  const [, , sequence] = Buffer.from(resumeToken, "base64url").toString().split(" ");
  // Decoding forgives much; a token that does not come out the same was never given out.
  if (
    !/^[1-9]\d{0,8}$/.test(sequence ?? "") ||
    resumeTokenFor(checkoutId, Number(sequence)) !== resumeToken
  )
    throw invalidResumeToken(`It is not one of ${checkoutId}`);
  return Number(sequence);
}

function invalidResumeToken(description: string): Error {
  return engineFailure(
    EngineReason.INVALID_RESUME_TOKEN,
    "The resume token is not of this stream",
    {
      fieldViolations: [{ field: "resume_token", description }],
    },
  );
}
