import {
  ItemsReturnedSchema,
  OrderCancelledSchema,
  OrderPlacedSchema,
  OrderSchema as OrderV1Schema,
  type Order as OrderV1,
} from "@emporium/contracts/orders/v1";
import {
  type Order,
  OrderState,
  type Return,
  type WatchOrderRequest,
} from "@emporium/contracts/orders/v2";
import { fromBinary } from "@bufbuild/protobuf";
import { Database } from "@emporium/database";
import { Events, type FeedEvent, watch, WatchOverflowError } from "@emporium/events";
import { requireOwner } from "@emporium/identity";
import { Injectable } from "@nestjs/common";
import { Addresses } from "./addresses.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { orderNotFound } from "./orders.js";
import { returnMessage } from "./return-message.js";
import { type BesideSnapshot, BESIDE_COLUMNS, fromSnapshot } from "./snapshots.js";
import { fromV1Return } from "./v1-message.js";
import { invalidResumeToken, openToken, sealToken } from "./tokens.js";

/** Changes that wait for a reader in memory; a slower one reads the rest from the database. */
const WAITING_CHANGES = 16;

/** Changes that are read from the database at once; the largest has 0.9 MB. */
const BACKFILL_SIZE = 8;

/** One change of an order: the order after it, as events tell it, and the return that made it. */
interface Change {
  snapshot: OrderV1;
  return: Return | undefined;
}

/** One message of WatchOrder. */
export interface Told {
  order: Order;
  return: Return | undefined;
  resumeToken: string;
}

/** An order's row, as far as its watchers need it. */
interface Row extends BesideSnapshot {
  revision: bigint;
  state: keyof typeof OrderState;
  customer_id: string;
}

/** Tells readers every change of an order, from its history first and then as it happens. */
@Injectable()
export class OrderWatch {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly events: Events<PrismaClient>,
    private readonly addresses: Addresses,
  ) {}

  /** Each change after the resume token, or from the first on; ends after a final state. */
  async *watch(
    { orderId, resumeToken }: Pick<WatchOrderRequest, "orderId" | "resumeToken">,
    signal: AbortSignal,
  ): AsyncGenerator<Told> {
    let told = resumeToken ? revisionIn(resumeToken, orderId) : 0n;
    let now = await this.#row(orderId, signal);
    if (now) requireOwner(now.customer_id);
    if (told > (now?.revision ?? 0n)) throw invalidResumeToken("the order has not come so far");
    if (!now) throw orderNotFound(orderId);
    if (told === now.revision && isFinal(OrderState[now.state])) return;
    for await (const change of this.#changes(orderId, told, signal)) {
      told = change.snapshot.revision;
      // What an event does not tell of a final state stands in the order's row, which no longer changes.
      if (told > now.revision && change.snapshot.state !== OrderState.PLACED)
        now = (await this.#row(orderId, signal)) ?? now;
      const beside = { ...now, return_id: change.return?.returnId ?? null };
      const order = fromSnapshot(change.snapshot, beside, this.addresses);
      const resumeToken = sealToken("WatchOrder.1", [orderId, String(told)]);
      yield { order, return: change.return, resumeToken };
      if (isFinal(order.status!.state)) return;
    }
    signal.throwIfAborted();
  }

  async #row(orderId: string, signal: AbortSignal): Promise<Row | undefined> {
    const sql = `SELECT revision, state, customer_id, ${BESIDE_COLUMNS} FROM orders WHERE order_id = $1 AND revision > 0`;
    const [row] = await this.database.query<Row>(signal, sql, [orderId]);
    return row;
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
          revision: ({ snapshot }) => snapshot.revision,
          backfill: (known, until) => this.#history(orderId, known.get(orderId) ?? 0n, until),
          overflow: "fail",
          capacity: WAITING_CHANGES,
          seen: [[orderId, seen]],
          signal,
        });
        for await (const { items } of batches)
          for (const change of items) {
            seen = change.snapshot.revision;
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
        snapshot: fromBinary(OrderV1Schema, row.snapshot),
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
  return changed?.order
    ? [{ snapshot: changed.order, return: returned?.return && fromV1Return(returned.return) }]
    : [];
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
