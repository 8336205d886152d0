import { fromBinary } from "@bufbuild/protobuf";
import { type StockChanged, StockChangedSchema } from "@emporium/contracts/inventory/v1";
import { Client, type ClientConfig, types } from "pg";
import { type ServiceName, serviceNames } from "../shop/services.js";

/** Units per SKU. */
export type Units = Map<string, bigint>;

/** A product's row. */
interface ProductRow {
  sku: string;
  onHand: bigint;
  reserved: bigint;
  revision: bigint;
}

/** A reservation's row. */
interface ReservationRow {
  id: string;
  state: string;
  units: Units;
}

/** A checkout's row; the total in minor units. */
export interface CheckoutRow {
  id: string;
  state: string;
  total: bigint;
  units: Units;
}

/** An order's row; amounts in minor units. */
export interface OrderRow {
  id: string;
  checkoutId: string;
  state: string;
  cancelReason: string | null;
  total: bigint;
  refunded: bigint;
  units: Units;
}

/** An entry of the payment provider's ledger; the amount in minor units. */
export interface LedgerRow {
  paymentId: string;
  kind: string;
  reference: string;
  amount: bigint;
}

/** What was published of one aggregate. */
interface PublishedRow {
  aggregate: string;
  events: bigint;
  first: bigint;
  last: bigint;
  waiting: bigint;
}

/** The end of what a consumer took in of one aggregate. */
interface PositionRow {
  consumer: string;
  aggregate: string;
  version: bigint;
}

/** What a service's tables of events say. */
export interface EventTables {
  published: PublishedRow[];
  positions: PositionRow[];
  /** Events that a consumer gave up: how many, by consumer. */
  buried: Map<string, bigint>;
}

/** All that the databases of a shop say about its books. */
export interface ShopTables {
  products: ProductRow[];
  reservations: Map<string, ReservationRow>;
  stockChanges: StockChanged[];
  checkouts: Map<string, CheckoutRow>;
  ledger: LedgerRow[];
  orders: Map<string, OrderRow>;
  /** What returns without an order are paid back, by their ids. */
  looseRefunds: Map<string, bigint>;
  events: Record<ServiceName, EventTables>;
}

/** Reads each database in one snapshot of its own; the three are not of one moment. */
export async function readTables(urls: Record<ServiceName, string>): Promise<ShopTables> {
  const [inventory, orders, checkout] = await Promise.all([
    inSnapshot(urls.inventory, async (query) => ({
      products: await query<ProductRow>(PRODUCTS),
      reservations: byId(await query<Stored<ReservationRow>>(RESERVATIONS)),
      stockChanges: (await query<{ payload: Buffer }>(STOCK_CHANGES)).map(({ payload }) =>
        fromBinary(StockChangedSchema, payload),
      ),
      events: await readEvents(query),
    })),
    inSnapshot(urls.orders, async (query) => ({
      orders: byId(await query<Stored<OrderRow>>(ORDERS)),
      looseRefunds: new Map(
        (await query<{ id: string; refund: bigint }>(LOOSE_RETURNS)).map((row) => [
          row.id,
          row.refund,
        ]),
      ),
      events: await readEvents(query),
    })),
    inSnapshot(urls.checkout, async (query) => ({
      checkouts: byId(await query<Stored<CheckoutRow>>(CHECKOUTS)),
      ledger: await query<LedgerRow>(LEDGER),
      events: await readEvents(query),
    })),
  ]);
  const events = { inventory: inventory.events, orders: orders.events, checkout: checkout.events };
  return { ...inventory, ...orders, ...checkout, events };
}

const PRODUCTS = `
  SELECT sku, on_hand AS "onHand", reserved, stock_revision AS revision FROM product ORDER BY sku`;

const RESERVATIONS = "SELECT id, state, lines FROM reservation";

const STOCK_CHANGES = `SELECT payload FROM outbox WHERE type = '${StockChangedSchema.typeName}'`;

const ORDERS = `
  SELECT order_id AS id, checkout_id AS "checkoutId", state, cancel_reason AS "cancelReason",
    total, refunded, (SELECT json_agg(json_build_object('sku', sku, 'quantity', quantity))
      FROM order_lines WHERE order_lines.order_id = orders.order_id) AS lines
  FROM orders WHERE revision > 0`;

const LOOSE_RETURNS = "SELECT return_id AS id, refund FROM returns WHERE order_id IS NULL";

const CHECKOUTS = "SELECT checkout_id AS id, state, total, lines FROM checkouts";

const LEDGER = `SELECT payment_id AS "paymentId", kind, reference, amount FROM payment_ledger`;

const PUBLISHED = `
  SELECT aggregate_type || ' ' || aggregate_id AS aggregate, count(*) AS events,
    min(version) AS first, max(version) AS last, count(*) FILTER (WHERE publish_time IS NULL) AS waiting
  FROM outbox GROUP BY aggregate_type, aggregate_id`;

const POSITIONS = `
  SELECT consumer, aggregate_type || ' ' || aggregate_id AS aggregate, version FROM inbox_position`;

const BURIED = `
  SELECT consumer, count(*) AS events FROM inbox_failure WHERE dead_time IS NOT NULL
  GROUP BY consumer`;

type Query = <Row>(sql: string) => Promise<Row[]>;

async function readEvents(query: Query): Promise<EventTables> {
  const published = await query<PublishedRow>(PUBLISHED);
  const positions = await query<PositionRow>(POSITIONS);
  const buried = await query<{ consumer: string; events: bigint }>(BURIED);
  return {
    published,
    positions,
    buried: new Map(buried.map(({ consumer, events }) => [consumer, events])),
  };
}

/** BIGINT comes as bigint, as everywhere in the shop. */
const bigints: NonNullable<ClientConfig["types"]> = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === 20 ? BigInt : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

async function inSnapshot<Books>(
  connectionString: string,
  read: (query: Query) => Promise<Books>,
): Promise<Books> {
  const client = new Client({ connectionString, types: bigints, application_name: "audit" });
  // A server that goes away fails the query that waits for it.
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return await read(async (sql) => (await client.query(sql)).rows);
  } finally {
    await client.end();
  }
}

type Stored<Row> = Omit<Row, "units"> & {
  id: string;
  lines: { sku: string; quantity: string | number }[] | null;
};

function byId<Row extends { units: Units }>(rows: Stored<Row>[]): Map<string, Row> {
  const read = rows.map(({ lines, ...row }) => {
    const units: Units = new Map();
    for (const { sku, quantity } of lines ?? [])
      units.set(sku, (units.get(sku) ?? 0n) + BigInt(quantity));
    return [row.id, { ...row, units } as unknown as Row] as const;
  });
  return new Map(read);
}

/** A figure for each service, by its name. */
export function eachService<Made>(make: (name: ServiceName) => Made): Record<ServiceName, Made> {
  return Object.fromEntries(serviceNames.map((name) => [name, make(name)])) as Record<
    ServiceName,
    Made
  >;
}
