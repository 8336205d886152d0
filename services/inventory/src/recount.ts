import { CountOutcome, type StockLevel } from "@emporium/contracts/inventory/v1";

/** One count of one product. */
export interface Count {
  sku: string;
  counted: bigint;
}

/**
 * What one session has counted and could not confirm yet. A count that differs from the books is
 * believed when the next count of the same product says the same.
 *
 * @example
 * recount.judge({ sku: "85123A", counted: 7n }, level); // RECOUNT, where the books say 8
 */
export class Recount {
  readonly #unconfirmed = new Map<string, bigint>();

  /** What follows from a count; changes nothing, so that a transaction may ask it twice. */
  judge({ sku, counted }: Count, level: StockLevel): CountOutcome {
    if (counted === level.onHand) return CountOutcome.MATCHED;
    if (counted !== this.#unconfirmed.get(sku)) return CountOutcome.RECOUNT;
    return counted < level.reserved ? CountOutcome.BELOW_RESERVED : CountOutcome.CORRECTED;
  }

  /** Remembers a count once its outcome stands. */
  note({ sku, counted }: Count, outcome: CountOutcome): void {
    if (outcome === CountOutcome.RECOUNT) this.#unconfirmed.set(sku, counted);
    else this.#unconfirmed.delete(sku);
  }
}
