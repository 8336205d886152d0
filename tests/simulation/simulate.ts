import { OrderState } from "@emporium/contracts/orders/v2";
import { ReservationState } from "@emporium/contracts/inventory/v1";
import { relatedId } from "@emporium/runtime";
import type { CheckoutRow } from "../../services/checkout/src/checkout-row.ts";
import { CheckoutTable } from "./checkout-table.ts";
import { Ledger, OrderBook } from "./counterparts.ts";
import { allGuards, type Guards } from "./guards.ts";
import { Network } from "./network.ts";
import { CheckoutProcess, type World } from "./processes.ts";
import { VirtualTime } from "./virtual-time.ts";
import { Warehouse } from "./warehouse.ts";

/** What came of one schedule. */
export interface Outcome {
  /** Everything that happened, with its moment. */
  trace: string[];
  /** What may never be; empty where all went well. */
  wrong: string[];
}

const CHECKOUTS = 3;
const PROCESSES = 2;

/** Enough for two of three. */
const UNITS = { RARE: 4n, TEA: 100n };

/** Milliseconds of virtual time in which things go wrong, and in which all must have ended then. */
const [TROUBLE_MS, BOUND_MS] = [2_000, 30_000];

/**
 * Plays one schedule: some checkouts at once, driven by real sagas and decided by inventory's real
 * rules, while messages are late or lost and processes die or sleep past their leases. The seed
 * decides all of it.
 */
export async function simulate(seed: number, guards: Guards = allGuards): Promise<Outcome> {
  using time = new VirtualTime(seed);
  const network = new Network(time);
  const world: World = {
    time,
    network,
    table: new CheckoutTable(guards),
    warehouse: new Warehouse(UNITS, guards),
    orders: new OrderBook(),
    ledger: new Ledger(guards),
  };
  const { random } = time;
  const processes = Array.from(
    { length: PROCESSES },
    (_, index) => new CheckoutProcess(`process ${index}`, world),
  );
  for (let index = 0; index < CHECKOUTS; index++) {
    const checkout = newCheckout(index, random.pick(["RARE", "RARE", "TEA"]));
    void begin(world, random.pick(processes), checkout);
  }
  const running = () =>
    world.table.rows.size < CHECKOUTS ||
    [...world.table.rows.values()].some(({ checkout }) => checkout.state === "RUNNING");
  void lookAfter(world, processes, running);
  await time.pass(() => !running() || time.now > BOUND_MS);
  // Whoever sleeps wakes up, and may do no harm any more.
  const end = time.now + TROUBLE_MS;
  void time.sleep(TROUBLE_MS);
  await time.pass(() => time.now >= end);
  return { trace: network.trace, wrong: audit(world) };
}

async function begin(
  { time, table, network }: World,
  process: CheckoutProcess,
  checkout: CheckoutRow,
): Promise<void> {
  await time.sleep(time.random.number() * 50);
  const token = time.random.number() < 0.85 ? "tok_approve" : "tok_decline";
  network.note(`${process.name} begins ${checkout.checkoutId}`);
  table.insert(checkout, time.now);
  await process.drive(checkout, token);
}

/** What goes on beside the sagas: dead processes are replaced, leases run out, reservations expire. */
async function lookAfter(
  world: World,
  processes: CheckoutProcess[],
  running: () => boolean,
): Promise<void> {
  const { time, table, network, warehouse } = world;
  for (let count = processes.length; running();) {
    await time.sleep(50);
    network.isWell ||= time.now > TROUBLE_MS;
    for (const [index, { isDead }] of processes.entries())
      if (isDead) processes[index] = new CheckoutProcess(`process ${count++}`, world);
    await warehouse.expireDue(time.now);
    for (const checkout of table.takeOver(time.now)) {
      const process = time.random.pick(processes);
      network.note(`${process.name} takes over ${checkout.checkoutId}`);
      void process.drive(checkout);
    }
  }
}

function newCheckout(index: number, sku: string): CheckoutRow {
  return {
    checkoutId: `chk_${String(index).padStart(26, "0")}`,
    customerId: "ada",
    quoteId: null,
    state: "RUNNING",
    currency: "GBP",
    total: 500n,
    lines: [{ sku, title: sku, quantity: 2n, unitPrice: 250n }],
    shippingAddress: null,
    refusal: null,
    steps: [{ kind: "STARTED", time: new Date(0).toISOString() }],
    contentHash: new Uint8Array(),
    createTime: new Date(0),
    endTime: null,
    fence: 1,
  };
}

function audit(world: World): string[] {
  const wrong = [...world.table.rows.values()].flatMap((row) => auditOne(world, row));
  const sold = new Map<string, bigint>();
  for (const { reservation } of world.warehouse.entries.values())
    if (reservation.state === ReservationState.COMMITTED)
      for (const { sku, quantity } of reservation.lines)
        sold.set(sku, (sold.get(sku) ?? 0n) + quantity);
  for (const { sku, onHand, reserved } of world.warehouse.rows) {
    const left = UNITS[sku as keyof typeof UNITS] - (sold.get(sku) ?? 0n);
    if (onHand !== left || reserved !== 0n || onHand < 0n)
      wrong.push(`${sku}: ${onHand} on hand, ${reserved} reserved, ${left} left by reservations`);
  }
  return wrong;
}

type Row = CheckoutTable["rows"] extends Map<string, infer Value> ? Value : never;

function auditOne({ warehouse, orders, ledger }: World, { checkout, events }: Row): string[] {
  const { checkoutId: id, state } = checkout;
  const steps = checkout.steps.map(({ kind }) => kind);
  const told = steps.filter((kind) => kind !== "TAKEN_OVER");
  const payment = ledger.payments.get(relatedId("pay", id));
  const reservation = warehouse.entries.get(relatedId("rsv", id))?.reservation.state;
  const order = orders.orders.get(relatedId("ord", id))?.state;
  const found = [
    state,
    payment?.state,
    reservation === undefined ? undefined : ReservationState[reservation],
    order === undefined ? undefined : OrderState[order],
  ].join(" ");
  const right =
    state === "COMPLETED"
      ? /^COMPLETED CAPTURED COMMITTED PLACED$/
      : /^REFUSED (VOIDED|CLOSED|DECLINED|) (RELEASED|EXPIRED|REFUSED|) (CANCELLED|)$/;
  return [
    ...(right.test(found) ? [] : [`${id}: ${found}`]),
    ...(steps.at(-1) === state ? [] : [`${id} ends with ${steps.at(-1)}`]),
    ...(new Set(told).size === told.length ? [] : [`${id} is told twice: ${steps.join(", ")}`]),
    ...(events.every((version, index) => version === index + 1) && events.length === steps.length
      ? []
      : [`events of ${id}: ${events.join(", ")}`]),
    ...((payment?.authorized ?? 0) > 1 ? [`${id} was charged ${payment?.authorized} times`] : []),
  ];
}
