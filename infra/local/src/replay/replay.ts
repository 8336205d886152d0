import { setTimeout as wait } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, ConnectError, findDetail, reasonOf } from "@emporium/grpc";
import type { CheckoutService, CompleteOrderRequestSchema } from "@emporium/contracts/checkout/v1";
import { BadRequestSchema, RetryInfoSchema } from "@emporium/contracts/google/rpc";
import type { InventoryService } from "@emporium/contracts/inventory/v1";
import { CancelReason, type OrderService, ReturnReason } from "@emporium/contracts/orders/v1";
import { newId } from "@emporium/runtime";
import { Books } from "./books.js";
import { type OpenOrder, planReturn, refundIsRight, type ReturnPlan } from "./cancellations.js";
import { billionths, type Invoice, type InvoiceLine, totalOf } from "./invoices.js";

/** Milliseconds until a call is repeated that got no answer. */
const AGAIN_MS = 100;

/** The shop, as anybody outside of it sees it. */
export interface ShopClients {
  inventory: Client<typeof InventoryService>;
  orders: Client<typeof OrderService>;
  checkout: Client<typeof CheckoutService>;
}

/** How a replay went. */
export interface Tally {
  accepted: number;
  rejected: Map<string, number>;
  cancellations: number;
  returnsOfOrders: number;
  returnsWithoutOrder: number;
  cancellationsRejected: Map<string, number>;
  /** Answers that are wrong in themselves: a total or a refund that is not the file's. */
  wrong: string[];
}

/**
 * Sends the orders and cancellations of the file through the shop, so many at once. The staff quotes
 * the file's prices, the customer buys the quote; cancellations wait for the customer's earlier
 * orders. What is refused is counted by its reason; what cannot be reached fails the replay.
 */
export async function replay(
  shop: ShopClients,
  invoices: Invoice[],
  books: Books,
  { concurrency, patienceMs, progress }: ReplayPace,
): Promise<Tally> {
  const tally: Tally = {
    accepted: 0,
    rejected: new Map(),
    cancellations: 0,
    returnsOfOrders: 0,
    returnsWithoutOrder: 0,
    cancellationsRejected: new Map(),
    wrong: [],
  };
  const patientShop = { ...shop, patienceMs };
  const earlier = new Map<string, Promise<unknown>[]>();
  const open = new Map<string, OpenOrder[]>();
  const work = invoices.values();
  const begin = (invoice: Invoice) => {
    // A guest's cancellation cannot be told to be about one order or another.
    const before = invoice.customerId ? (earlier.get(invoice.customerId) ?? []) : [];
    const done = invoice.cancellation
      ? Promise.all(before).then(() => takeBack(patientShop, invoice, open, books, tally))
      : buy(patientShop, invoice, open, books, tally);
    earlier.set(invoice.customerId, [...before, done]);
    return done;
  };
  const worker = async () => {
    for (const invoice of work) {
      await begin(invoice);
      progress();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return tally;
}

/** How a replay is sent. */
export interface ReplayPace {
  /** Orders under way at once. */
  concurrency: number;
  /** Milliseconds for which a call is repeated that gets no answer. */
  patienceMs: number;
  /** Told after each order. */
  progress: () => void;
}

interface PatientShop extends ShopClients {
  patienceMs: number;
}

async function buy(
  shop: PatientShop,
  invoice: Invoice,
  open: Map<string, OpenOrder[]>,
  books: Books,
  tally: Tally,
): Promise<void> {
  const { checkout, patienceMs } = shop;
  const quoteId = newId("quo");
  const { customerId, country } = invoice;
  try {
    const lines = priced(invoice.lines);
    await patiently(() => checkout.createQuote({ quoteId, customerId, lines }), patienceMs);
    const purchase = {
      customerId,
      basket: { case: "quoteId" as const, value: quoteId },
      paymentToken: "tok_approve",
      shippingAddress: { country },
    };
    const { checkout: done } = await pay(shop, purchase);
    if (billionths(done?.total) !== totalOf(invoice.lines))
      tally.wrong.push(`${invoice.number} came to another total than the file's`);
    const orderId = done!.orderId;
    books.sold(orderId, invoice.lines);
    const orders = open.get(customerId) ?? [];
    orders.push({ orderId, lines: invoice.lines, remaining: invoice.lines.map((l) => l.quantity) });
    open.set(customerId, orders);
    tally.accepted++;
  } catch (error) {
    count(tally.rejected, refusal(error));
  }
}

/**
 * Buys. A checkout whose process died before the payment was asked for is refused, since the token
 * is stored nowhere; then the customer buys the same quote once more.
 */
async function pay(
  { checkout, patienceMs }: PatientShop,
  purchase: Omit<MessageInitShape<typeof CompleteOrderRequestSchema>, "$typeName" | "checkoutId">,
) {
  for (const end = performance.now() + patienceMs; ;) {
    const checkoutId = newId("chk");
    try {
      return await patiently(() => checkout.completeOrder({ ...purchase, checkoutId }), patienceMs);
    } catch (error) {
      const reason = reasonOf(error)?.reason ?? "";
      const interrupted = ["PAYMENT_UNAVAILABLE", "RESERVATION_EXPIRED"].includes(reason);
      if (!interrupted || performance.now() > end) throw error;
    }
  }
}

async function takeBack(
  shop: PatientShop,
  invoice: Invoice,
  open: Map<string, OpenOrder[]>,
  books: Books,
  tally: Tally,
): Promise<void> {
  const { customerId } = invoice;
  const plan = planReturn(invoice, customerId ? (open.get(customerId) ?? []) : []);
  try {
    const returnId = newId("ret");
    const refund = await patiently(() => giveBack(shop, invoice, plan, returnId), shop.patienceMs);
    if (!refundIsRight(refund, plan.lines))
      tally.wrong.push(`${invoice.number} was paid back another sum than the file's`);
    books.returned(plan.order?.orderId, plan.lines, plan.whole);
    if (plan.whole) tally.cancellations++;
    else if (plan.order) tally.returnsOfOrders++;
    else tally.returnsWithoutOrder++;
  } catch (error) {
    count(tally.cancellationsRejected, refusal(error));
  }
}

async function giveBack(
  { orders }: ShopClients,
  { customerId }: Invoice,
  plan: ReturnPlan,
  returnId: string,
) {
  if (plan.order && plan.whole) {
    const { order } = await orders.cancelOrder({
      orderId: plan.order.orderId,
      reason: CancelReason.CUSTOMER_REQUEST,
    });
    return order?.total;
  }
  const lines = priced(plan.lines);
  const { return: taken } = await orders.returnItems({
    returnId,
    orderId: plan.order?.orderId ?? "",
    customerId,
    reason: ReturnReason.NOT_RECORDED,
    lines,
  });
  return taken?.refund;
}

/**
 * Comes back when a server that is at its limit says so, and as long as its patience lasts when there
 * is no answer; under the same id nothing happens twice.
 */
async function patiently<T>(call: () => Promise<T>, patienceMs: number): Promise<T> {
  for (const end = performance.now() + patienceMs; ;) {
    try {
      return await call();
    } catch (error) {
      const delay = findDetail(error, RetryInfoSchema)?.retryDelay;
      if (reasonOf(error)?.reason === "OVERLOADED" && delay) await wait(durationMs(delay));
      else if (isRefusal(error) || performance.now() > end) throw error;
      else await wait(AGAIN_MS);
    }
  }
}

/** Lines as the contract has them. All prices of the file are in pounds. */
function priced(lines: InvoiceLine[]) {
  return lines.map(({ sku, quantity, unitPrice }) => ({
    sku,
    quantity,
    unitPrice: { currencyCode: "GBP", ...unitPrice },
  }));
}

/** Codes by which a service says that the request, and not the service, is the trouble. */
const REFUSALS = new Set([3, 5, 6, 9, 11]);

function isRefusal(error: unknown): error is ConnectError {
  return error instanceof ConnectError && REFUSALS.has(error.code);
}

/** Why the shop said no, without the numbers of lines; anything but a refusal is thrown on. */
function refusal(error: unknown): string {
  if (!isRefusal(error)) throw error;
  const [violation] = findDetail(error, BadRequestSchema)?.fieldViolations ?? [];
  const where = violation ? ` ${violation.field.replaceAll(/\[\d+\]/g, "[]")}` : "";
  const reason = reasonOf(error)?.reason ?? "refused";
  const rule = violation?.reason && violation.reason !== reason ? ` (${violation.reason})` : "";
  return `${reason}${where}${rule}`;
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
