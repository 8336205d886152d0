import {
  ItemsReturnedSchema,
  type Order,
  OrderCancelledSchema,
  OrderPlacedSchema,
  OrderState,
  type Return,
  type WatchOrderRequest,
} from "@emporium/contracts/orders/v1";
import { Database } from "@emporium/database";
import { Events, type FeedEvent, watch, WatchOverflowError } from "@emporium/events";
import { Injectable } from "@nestjs/common";
import type { PrismaClient } from "./generated/prisma/client.js";
import { readSnapshot, withAddress } from "./order-message.js";
import { orderNotFound } from "./orders.js";
import { returnMessage } from "./return-message.js";
import { invalidResumeToken, openToken, sealToken } from "./tokens.js";

/** Changes that wait for a reader in memory; a slower one reads the rest from the database. */
const WAITING_CHANGES = 16;

/** Changes that are read from the database at once; the largest has 0.9 MB. */
const BACKFILL_SIZE = 8;

/** One change of an order: the order after it, without its address, and the return that made it. */
export interface Change {
  order: Order;
  return: Return | undefined;
}

/** One message of WatchOrder. */
export interface Told extends Change {
  resumeToken: string;
}

/** Tells readers every change of an order, from its history first and then as it happens. */
@Injectable()
export class OrderWatch {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly events: Events<PrismaClient>,
  ) {}

  /** Each change after the resume token, or from the first on; ends after a final state. */
  async *watch(
    { orderId, resumeToken }: WatchOrderRequest,
    signal: AbortSignal,
  ): AsyncGenerator<Told> {
    let told = resumeToken ? revisionIn(resumeToken, orderId) : 0n;
    const [now] = await this.database.query<{
      revision: bigint;
      state: keyof typeof OrderState;
      shipping_address: Buffer | null;
    }>(signal, "SELECT revision, state, shipping_address FROM orders WHERE order_id = $1", [
      orderId,
    ]);
    if (told > (now?.revision ?? 0n)) throw invalidResumeToken("the order has not come so far");
    if (!now) throw orderNotFound(orderId);
    if (told === now.revision && isFinal(OrderState[now.state])) return;
    for await (const change of this.#changes(orderId, told, signal)) {
      told = change.order.revision;
      yield {
        ...change,
        order: withAddress(change.order, now.shipping_address),
        resumeToken: sealToken("WatchOrder.1", [orderId, String(told)]),
      };
      if (isFinal(change.order.state)) return;
    }
    signal.throwIfAborted();
  }

  /** A reader that falls too far behind the events starts over from the history and misses nothing. */
  async *#changes(orderId: string, after: bigint, signal: AbortSignal): AsyncGenerator<Change> {
    let seen = after;
    while (!signal.aborted) {
      try {
        const batches = watch<Change>({
          feed: this.events.feed("orders"),
          select: (event) => (event.meta.aggregateId === orderId ? changesIn(event) : []),
          key: () => orderId,
          revision: ({ order }) => order.revision,
          backfill: (known, until) => this.#history(orderId, known.get(orderId) ?? 0n, until),
          overflow: "fail",
          capacity: WAITING_CHANGES,
          seen: [[orderId, seen]],
          signal,
        });
        for await (const { items } of batches)
          for (const change of items) {
            seen = change.order.revision;
            yield change;
          }
      } catch (error) {
        if (!(error instanceof WatchOverflowError)) throw error;
      }
    }
  }

  async *#history(orderId: string, after: bigint, signal: AbortSignal): AsyncGenerator<Change[]> {
    for (let revision = after; ;) {
      const rows = await this.database.transaction(signal, (tx) =>
        tx.orderChange.findMany({
          where: { orderId, revision: { gt: revision } },
          orderBy: { revision: "asc" },
          take: BACKFILL_SIZE,
          include: { return: { include: { lines: { orderBy: { lineNo: "asc" } } } } },
        }),
      );
      yield rows.map((row) => ({
        order: readSnapshot(row.snapshot, null),
        return: row.return ? returnMessage(row.return) : undefined,
      }));
      if (rows.length < BACKFILL_SIZE) return;
      revision = rows.at(-1)!.revision;
    }
  }
}

function changesIn(event: FeedEvent): Change[] {
  const returned = event.as(ItemsReturnedSchema);
  const changed = returned ?? event.as(OrderPlacedSchema) ?? event.as(OrderCancelledSchema);
  return changed?.order ? [{ order: changed.order, return: returned?.return }] : [];
}

function isFinal(state: OrderState): boolean {
  return state === OrderState.CANCELLED || state === OrderState.RETURNED;
}

function revisionIn(token: string, orderId: string): bigint {
  const [boundTo, revision = "", ...rest] = openToken("WatchOrder.1", token) ?? [];
  if (boundTo === orderId && /^[1-9]\d{0,17}$/.test(revision) && rest.length === 0)
    return BigInt(revision);
  throw invalidResumeToken("not given out by WatchOrder for this order");
}
