import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { EngineReason } from "@emporium/contracts/options/v1";
import type {
  ExportOrdersRequest,
  ListOrdersRequest,
  Order,
} from "@emporium/contracts/orders/v1";
import { Database } from "@emporium/database";
import { engineFailure } from "@emporium/grpc";
import type { Clock } from "@emporium/runtime";
import type { PrismaClient } from "./generated/prisma/client.js";
import { readSnapshot } from "./order-message.js";
import { invalidResumeToken, openToken, sealToken, type TokenKind } from "./tokens.js";

const DEFAULT_PAGE_SIZE = 50;

/** Orders that an export holds in memory at once. */
const EXPORT_PAGE_SIZE = 100;

/** Where a reader stands in the orders by time; ids tell orders of the same millisecond apart. */
interface Position {
  createTime: Date;
  orderId: string;
}

/** Reads many orders, a page at a time by key, so that page 1,000 costs what page 1 does. */
export class OrderPages {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly clock: Clock,
  ) {}

  /** One page, the newest orders first. */
  async list(
    { customerId, pageSize, pageToken }: ListOrdersRequest,
    signal: AbortSignal,
  ): Promise<{ orders: Order[]; nextPageToken: string }> {
    const after = pageToken ? openPageToken(pageToken, customerId) : undefined;
    const size = pageSize || DEFAULT_PAGE_SIZE;
    const values = [after?.createTime ?? "infinity", after?.orderId ?? "", size + 1];
    // One row more than asked for tells whether there is a next page.
    const found = await (customerId
      ? this.#read(signal, LIST_ORDERS_OF_CUSTOMER, [...values, customerId])
      : this.#read(signal, LIST_ORDERS, values));
    const orders = found.slice(0, size);
    const last = orders.at(-1);
    return {
      orders,
      nextPageToken: last && found.length > size ? sealPosition("ListOrders.1", last, customerId) : "",
    };
  }

  /**
   * All orders of a span of time, the oldest first, in constant memory.
   *
   * An order is in the export when it was committed before its page was read. One that is still
   * being placed while the export passes its time is not: give an `end_time` that lies behind the
   * longest CreateOrder (10 s) where exports have to join without a gap.
   */
  async *export(
    { startTime, endTime, resumeToken }: ExportOrdersRequest,
    signal: AbortSignal,
  ): AsyncGenerator<{ order: Order; resumeToken: string }> {
    const start = { createTime: startTime ? toDate(startTime) : new Date(0), orderId: "" };
    const end = endTime ? toDate(endTime) : this.clock.now();
    const resumed = resumeToken ? openResumeToken(resumeToken) : start;
    let after = resumed.createTime < start.createTime ? start : resumed;
    for (;;) {
      const orders = await this.#read(signal, EXPORT_ORDERS, [
        after.createTime,
        after.orderId,
        EXPORT_PAGE_SIZE,
        end,
      ]);
      for (const order of orders)
        yield { order, resumeToken: sealPosition("ExportOrders.1", order) };
      const last = orders.at(-1);
      if (!last || orders.length < EXPORT_PAGE_SIZE) return;
      after = positionOf(last);
    }
  }

  async #read(signal: AbortSignal, sql: string, values: unknown[]): Promise<Order[]> {
    const rows = await this.database.query<{ snapshot: Buffer; shipping_address: Buffer | null }>(
      signal,
      sql,
      values,
    );
    return rows.map((row) => readSnapshot(row.snapshot, row.shipping_address));
  }
}

// Not Prisma: it can neither join on the revision nor compare (create_time, order_id) as a pair,
// which is what makes a page one walk along an index.
const PAGE = `
  SELECT change.snapshot, placed.shipping_address
  FROM orders placed JOIN order_changes change USING (order_id, revision)
  WHERE (placed.create_time, order_id)`;
const NEWEST_FIRST = "ORDER BY placed.create_time DESC, order_id DESC LIMIT $3";
const LIST_ORDERS = `${PAGE} < ($1, $2) ${NEWEST_FIRST}`;
const LIST_ORDERS_OF_CUSTOMER = `${PAGE} < ($1, $2) AND placed.customer_id = $4 ${NEWEST_FIRST}`;
const EXPORT_ORDERS = `${PAGE} > ($1, $2) AND placed.create_time < $4
  ORDER BY placed.create_time, order_id LIMIT $3`;

function positionOf(order: Order): Position {
  return { createTime: timestampDate(order.createTime!), orderId: order.orderId };
}

function sealPosition(kind: TokenKind, order: Order, ...filter: string[]): string {
  const { createTime, orderId } = positionOf(order);
  return sealToken(kind, [String(createTime.getTime()), orderId, ...filter]);
}

function openPosition(kind: TokenKind, token: string, ...filter: string[]): Position | undefined {
  const [time = "", orderId = "", ...boundTo] = openToken(kind, token) ?? [];
  const valid = /^\d{1,15}$/.test(time) && /^ord_\w{26}$/.test(orderId);
  const same = boundTo.length === filter.length && boundTo.every((part, at) => part === filter[at]);
  return valid && same ? { createTime: new Date(Number(time)), orderId } : undefined;
}

function openPageToken(token: string, customerId: string): Position {
  const position = openPosition("ListOrders.1", token, customerId);
  if (position) return position;
  throw engineFailure(EngineReason.INVALID_PAGE_TOKEN, "The page token is not of this list", {
    fieldViolations: [
      { field: "page_token", description: "not given out by ListOrders for this customer" },
    ],
  });
}

function openResumeToken(token: string): Position {
  const position = openPosition("ExportOrders.1", token);
  if (position) return position;
  throw invalidResumeToken("not given out by ExportOrders");
}

const LAST_DATE = 253_402_300_799_999n;

/** The first stored time, which has milliseconds, that is not before a time of the wire. */
function toDate({ seconds, nanos }: Timestamp): Date {
  const milliseconds = seconds * 1000n + BigInt(Math.ceil(nanos / 1_000_000));
  if (milliseconds < 0n) return new Date(0);
  return new Date(Number(milliseconds < LAST_DATE ? milliseconds : LAST_DATE));
}
