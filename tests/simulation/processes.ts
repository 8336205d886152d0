import type { Database } from "@emporium/database";
import { createLogger } from "@emporium/runtime";
import type { CheckoutRow } from "../../services/checkout/src/checkout-row.ts";
import type { PrismaClient } from "../../services/checkout/src/generated/prisma/client.ts";
import { Journal } from "../../services/checkout/src/journal.ts";
import { Saga, type SagaParties } from "../../services/checkout/src/saga.ts";
import { type CheckoutTable, LEASE_MS } from "./checkout-table.ts";
import type { Ledger, OrderBook } from "./counterparts.ts";
import type { Network, Process } from "./network.ts";
import type { VirtualTime } from "./virtual-time.ts";
import type { Warehouse } from "./warehouse.ts";

/** Milliseconds, all of virtual time. */
const [CALL_MS, AUTHORIZE_MS, LINGER_MS, LONGEST_STOP_MS] = [200, 600, 10, 1_500];

const log = createLogger({ name: "simulation", level: "silent" });

/** Whom all processes of checkout deal with. */
export interface World {
  time: VirtualTime;
  network: Network;
  table: CheckoutTable;
  warehouse: Warehouse;
  orders: OrderBook;
  ledger: Ledger;
}

/** One process of checkout: real sagas and journals, which die or stop where the seed says. */
export class CheckoutProcess implements Process {
  readonly name: string;
  isDead = false;
  readonly #world: World;
  readonly #parties: SagaParties;
  #stopped: Promise<void> | undefined;

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
    this.#parties = this.#partiesOf(world);
  }

  async alive(): Promise<void> {
    await this.#stopped;
    if (this.isDead) await new Promise(() => undefined);
  }

  /** Drives a checkout, and keeps its lease for as long as it does. */
  async drive(checkout: CheckoutRow, token?: string): Promise<void> {
    const { table, time, network } = this.#world;
    const control = new AbortController();
    using journal = new Journal(checkout, {
      database: this.#database(),
      clock: { now: () => new Date(time.now) },
      log,
      leaseMs: LEASE_MS,
      lingerMs: LINGER_MS,
      signal: control.signal,
      onLeaseLost: (error) => control.abort(error),
    });
    if (!token) journal.did("TAKEN_OVER");
    const driving = { isOver: false };
    void this.#renew(checkout, driving, table);
    try {
      await new Saga(this.#parties, journal, () => token, control.signal).run();
      network.note(`${this.name} ended ${checkout.checkoutId}`);
    } catch (error) {
      network.note(`${this.name} let go of ${checkout.checkoutId}: ${String(error)}`);
    } finally {
      driving.isOver = true;
    }
  }

  async #renew(
    checkout: CheckoutRow,
    driving: { isOver: boolean },
    table: CheckoutTable,
  ): Promise<void> {
    while (!driving.isOver) {
      await this.#world.time.sleep(LEASE_MS / 3);
      await this.alive();
      if (!driving.isOver) table.renew(checkout, this.#world.time.now);
    }
  }

  /** Dies here, or stops for longer than its leases last, or goes on. */
  async #pass(place: string): Promise<void> {
    await this.alive();
    const { time, network } = this.#world;
    const fate = network.isWell ? 1 : time.random.number();
    if (fate < 0.01) {
      network.note(`${this.name} died ${place}`);
      this.isDead = true;
    } else if (fate < 0.03) {
      network.note(`${this.name} stopped ${place}`);
      this.#stopped = time.sleep(time.random.number() * LONGEST_STOP_MS);
    }
    await this.alive();
  }

  #database(): Database<PrismaClient> {
    const { network, table, time } = this.#world;
    const query = (signal: AbortSignal | undefined, _: string, values: readonly unknown[]) =>
      network.call(this, `writes ${String(values[0])}`, { signal, timeoutMs: CALL_MS }, () =>
        table.query(values, time.now),
      );
    return { query, committed: () => undefined } as never;
  }

  #partiesOf({ network, time, warehouse, orders, ledger }: World): SagaParties {
    type Options = { signal?: AbortSignal; timeoutMs?: number };
    const inventory = {
      reserveStock: (request: Parameters<Warehouse["reserve"]>[0], options: Options) =>
        network.call(this, `reserves ${request.reservationId}`, options, async () => ({
          reservation: await warehouse.reserve(request, time.now),
        })),
      commitReservation: ({ reservationId }: { reservationId: string }, options: Options) =>
        network.call(this, `commits ${reservationId}`, options, async () => ({
          reservation: await warehouse.commit(reservationId, time.now),
        })),
      releaseReservation: ({ reservationId }: { reservationId: string }, options: Options) =>
        network.call(this, `releases ${reservationId}`, options, async () => ({
          reservation: await warehouse.release(reservationId, time.now),
        })),
    };
    const orderBook = {
      createOrder: (request: Parameters<OrderBook["create"]>[0], options: Options) =>
        network.call(this, `orders ${request.orderId}`, options, () => orders.create(request)),
      cancelOrder: ({ orderId }: { orderId: string }, options: Options) =>
        network.call(this, `cancels ${orderId}`, options, () => orders.cancel(orderId)),
    };
    const payments: SagaParties["payments"] = {
      authorize: (payment, signal) =>
        network.call(this, `pays ${payment.paymentId}`, { signal }, () =>
          ledger.authorize(payment),
        ),
      findOrClose: (id, signal) =>
        network.call(this, `looks for ${id}`, { signal }, () => ledger.findOrClose(id)),
      capture: (id, signal) =>
        network.call(this, `captures ${id}`, { signal }, () => ledger.settle(id, "CAPTURED")),
      void: (id, signal) =>
        network.call(this, `voids ${id}`, { signal }, () => ledger.settle(id, "VOIDED")),
      refund: async () => false,
    };
    return {
      inventory: inventory as never,
      orders: orderBook as never,
      payments,
      dataKeys: undefined as never,
      callMs: CALL_MS,
      authorizeMs: AUTHORIZE_MS,
      faultPoint: (place) => this.#pass(place),
      log,
    };
  }
}
