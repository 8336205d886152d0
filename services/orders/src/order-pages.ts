import type { Message } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { EngineReason } from "@emporium/contracts/options/v1";
import type { ExportOrdersRequest, ListOrdersRequest, Order } from "@emporium/contracts/orders/v2";
import { Database } from "@emporium/database";
import { engineFailure } from "@emporium/grpc";
import { requireOwner } from "@emporium/identity";
import { Inject, Injectable } from "@nestjs/common";
import { Addresses } from "./addresses.js";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { readSnapshot, SNAPSHOT_COLUMNS, type SnapshotRow } from "./snapshots.js";
import { invalidResumeToken, openToken, sealToken, type TokenKind } from "./tokens.js";

const DEFAULT_PAGE_SIZE = 50;

/** The most that the contract lets a caller ask for, and that an export holds in memory at once. */
const LARGEST_PAGE = 100;

/**
 * A page that reaches so many bytes is full. The largest order has 0.9 MB, so a list stays below the
 * 4 MiB that gRPC clients take in one message, and an export below 3 MB of memory.
 */
const PAGE_BYTES = 2_000_000;

/** A request of either version of the contract; they ask for pages in the same words. */
type Fields<Request extends Message> = Omit<Request, keyof Message>;

/** Where a reader stands in the orders by time; ids tell orders of the same millisecond apart. */
interface Position {
  createTime: Date;
  orderId: string;
}

interface Page {
  orders: Order[];
  /** Where the next page starts; absent on the last. */
  next: Position | undefined;
}

/** Reads many orders, a page at a time by key, so that page 1,000 costs what page 1 does. */
@Injectable()
export class OrderPages {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly addresses: Addresses,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** One page, the newest orders first. */
  async list(
    { customerId, pageSize, pageToken }: Fields<ListOrdersRequest>,
    signal: AbortSignal,
  ): Promise<{ orders: Order[]; nextPageToken: string }> {
    requireOwner(customerId);
    const after = pageToken ? openPageToken(pageToken, customerId) : undefined;
    const values = [
      after?.createTime ?? "infinity",
      after?.orderId ?? "",
      pageSize || DEFAULT_PAGE_SIZE,
      PAGE_BYTES,
    ];
    const { orders, next } = await (customerId
      ? this.#read(signal, LIST_ORDERS_OF_CUSTOMER, [...values, customerId])
      : this.#read(signal, LIST_ORDERS, values));
    return { orders, nextPageToken: next ? sealPosition("ListOrders.1", next, customerId) : "" };
  }

  /**
   * All orders of a span of time, the oldest first, in constant memory.
   *
   * An order is in the export when it was committed before its page was read. One that is still
   * being placed while the export passes its time is not: give an `end_time` that lies behind the
   * longest CreateOrder (10 s) where exports have to join without a gap.
   */
  async *export(
    { startTime, endTime, resumeToken }: Fields<ExportOrdersRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<{ order: Order; resumeToken: string }> {
    const start = { createTime: startTime ? toDate(startTime) : new Date(0), orderId: "" };
    // Stored times have milliseconds, so what was placed in the one that the call starts in counts.
    const end = endTime ? toDate(endTime) : new Date(this.settings.clock.now().getTime() + 1);
    const resumed = resumeToken ? openResumeToken(resumeToken) : start;
    let after: Position | undefined = resumed.createTime < start.createTime ? start : resumed;
    while (after) {
      const { createTime, orderId } = after;
      const values = [createTime, orderId, LARGEST_PAGE, PAGE_BYTES, end];
      const { orders, next } = await this.#read(signal, EXPORT_ORDERS, values);
      for (const order of orders)
        yield { order, resumeToken: sealPosition("ExportOrders.1", positionOf(order)) };
      after = next;
    }
  }

  async #read(signal: AbortSignal, sql: string, values: unknown[]): Promise<Page> {
    const rows = await this.database.query<SnapshotRow & { has_next: boolean }>(
      signal,
      sql,
      values,
    );
    const orders = rows.map((row) => readSnapshot(row, this.addresses));
    const last = orders.at(-1);
    return { orders, next: last && rows.at(-1)?.has_next ? positionOf(last) : undefined };
  }
}

// Not Prisma: it can neither join on the revision nor compare (create_time, order_id) as a pair,
// which makes a page one walk along an index. A page is full by count ($3) or by bytes ($4), and has
// one order at least. The inner limit is for the planner: of one that is a parameter it expects a
// tenth of the table, and would rather sort all orders than walk along the index.
const page = (where: string, order: string) => `
  SELECT page.*
  FROM (
    SELECT walk.*,
      lead(order_id) OVER by_time IS NOT NULL AS has_next,
      sum(octet_length(snapshot)) OVER by_time - octet_length(snapshot) AS before
    FROM (
      SELECT placed.create_time, order_id, ${SNAPSHOT_COLUMNS}
      FROM orders placed JOIN order_changes change USING (order_id, revision)
      WHERE ${where}
      ORDER BY ${order}
      LIMIT ${LARGEST_PAGE + 1}
    ) walk
    WINDOW by_time AS (ORDER BY ${order})
    ORDER BY ${order}
    LIMIT $3
  ) page
  WHERE before < $4`;
const NEWEST_FIRST = "create_time DESC, order_id DESC";
const LIST_ORDERS = page("(placed.create_time, order_id) < ($1, $2)", NEWEST_FIRST);
const LIST_ORDERS_OF_CUSTOMER = page(
  "(placed.create_time, order_id) < ($1, $2) AND placed.customer_id = $5",
  NEWEST_FIRST,
);
const EXPORT_ORDERS = page(
  "(placed.create_time, order_id) > ($1, $2) AND placed.create_time < $5",
  "create_time, order_id",
);

function positionOf(order: Order): Position {
  return { createTime: timestampDate(order.createTime!), orderId: order.orderId };
}

function sealPosition(
  kind: TokenKind,
  { createTime, orderId }: Position,
  ...filter: string[]
): string {
  return sealToken(kind, [String(createTime.getTime()), orderId, ...filter]);
}

function openPosition(kind: TokenKind, token: string, ...filter: string[]): Position | undefined {
  const [time = "", orderId = "", ...boundTo] = openToken(kind, token) ?? [];
  const valid = /^\d{1,14}$/.test(time) && /^ord_\w{26}$/.test(orderId);
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
