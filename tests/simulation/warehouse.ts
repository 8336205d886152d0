import type { Reservation, ReserveStockRequest } from "@emporium/contracts/inventory/v1";
import { ConnectError } from "@emporium/grpc";
import {
  type Ask,
  decide,
  type Ledger,
} from "../../services/inventory/src/reservation-outcomes.ts";
import { Stock, type StockRow, toLevel } from "../../services/inventory/src/stock.ts";
import type { Guards } from "./guards.ts";

/** How long a reservation holds its units, in milliseconds; shorter than some checkouts take. */
const TTL_MS = 700;

/** What a product seems to have more of, where nobody checks what is available. */
const PLENTY = 1_000_000n;

/** Inventory's own rules over tables in memory. */
export class Warehouse {
  readonly entries: Ledger["entries"] = new Map();
  readonly rows: StockRow[];
  readonly #guards: Guards;
  #repeated = 0;

  constructor(units: Record<string, bigint>, guards: Guards) {
    this.rows = Object.entries(units).map(([sku, onHand]) => ({
      sku,
      onHand,
      reserved: 0n,
      stockRevision: 0n,
    }));
    this.#guards = guards;
  }

  reserve({ reservationId: id, lines }: ReserveStockRequest, now: number): Promise<Reservation> {
    return this.#ask({ kind: "reserve", id: this.#key(id), lines }, now);
  }

  commit(id: string, now: number): Promise<Reservation> {
    return this.#ask({ kind: "commit", id }, now);
  }

  release(id: string, now: number): Promise<Reservation> {
    return this.#ask({ kind: "release", id }, now);
  }

  /** What the sweep does. */
  async expireDue(now: number): Promise<void> {
    for (const id of this.entries.keys())
      await this.#ask({ kind: "expire", id }, now).catch(() => undefined);
  }

  /** Without the guard, whoever asks again asks for something else. */
  #key(id: string): string {
    if (this.#guards.idempotencyKey || !this.entries.has(id)) return id;
    return `${id}-again-${++this.#repeated}`;
  }

  async #ask(ask: Ask, now: number): Promise<Reservation> {
    const stock = new Stock();
    const more = this.#guards.enoughAvailable ? 0n : PLENTY;
    for (const row of this.rows) stock.know(toLevel({ ...row, onHand: row.onHand + more }));
    const ledger: Ledger = {
      now: new Date(now),
      ttlMs: TTL_MS,
      stock,
      entries: this.entries,
      changed: new Set(),
      events: [],
    };
    const answer = decide(ask, ledger);
    for (const { sku, onHand, reserved, revision } of stock.changed())
      Object.assign(
        this.rows.find((row) => row.sku === sku)!,
        {
          onHand: onHand - more,
          reserved,
          stockRevision: revision,
        },
      );
    if (answer instanceof ConnectError) throw answer;
    return answer;
  }
}
