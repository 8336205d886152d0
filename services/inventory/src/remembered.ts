import { ReservationState, type StockLevel } from "@emporium/contracts/inventory/v1";
import type { Database } from "@emporium/database";
import type { PrismaClient } from "./generated/prisma/client.js";
import type { Ask, Entry, Ledger } from "./reservation-outcomes.js";
import { READ, type ReservationRow, toEntry } from "./reservation-rows.js";
import { readLevels, Stock } from "./stock.js";

/** How many levels, and how many reservations, are remembered at least, and half of at most. */
const ENOUGH = 10_000;

/**
 * What this process knows of levels and of reservations that are held: as it last read or wrote them,
 * or is just about to. Others write as well, so nothing in here is more than a guess, which lets a
 * group be decided without a look at the database; the statement that writes it checks every guess.
 */
export class Remembered {
  readonly #levels = new Recent<StockLevel>();
  readonly #entries = new Recent<Entry>();
  /** How often something remembered was wrong. */
  mistakes = 0;

  /**
   * All that these asks can be about; what is not remembered is read, without locks. `undefined`
   * where there is no such product: then only a lock tells what stands in the id's way.
   */
  async recall(
    database: Database<PrismaClient>,
    asks: Ask[],
  ): Promise<Pick<Ledger, "stock" | "entries"> | undefined> {
    // an id to reserve under is taken for new where it is not remembered
    const ids = asks.filter(({ kind, id }) => kind !== "reserve" || this.#entries.has(id));
    const known = await gather(this.#entries, new Set(ids.map(({ id }) => id)), async (ids) =>
      (await database.query<ReservationRow>(undefined, READ, [ids])).map((row) => [
        row.id,
        toEntry(row),
      ]),
    );
    // copies, since deciding changes them
    const entries = new Map(Array.from(known, ([id, entry]) => [id, { ...entry }]));
    const skus = new Set(skusOf(asks, entries));
    const levels = await gather(this.#levels, skus, async (missing) =>
      (await readLevels(database, missing)).map((level) => [level.sku, level]),
    );
    if (levels.size < skus.size) return undefined;
    const stock = new Stock();
    for (const level of levels.values()) stock.know(level);
    return { stock, entries };
  }

  /** The id and the products that an ask is about, as far as that is known without a look. */
  keysOf({ kind, id, lines = [] }: Ask): string[] | undefined {
    const entry = this.#entries.get(id);
    if (!entry && kind !== "reserve") return undefined;
    return [id, ...[...lines, ...(entry?.reservation.lines ?? [])].map(({ sku }) => sku)];
  }

  /** How things are once the ledger is written. */
  keep({ stock, entries }: Ledger): void {
    for (const level of stock.levels()) this.#levels.set(level.sku, level);
    for (const [id, entry] of entries)
      if (entry.reservation.state === ReservationState.HELD) this.#entries.set(id, entry);
      else this.#entries.delete(id);
  }

  /** The ledger was wrong. */
  forget({ stock, entries }: Ledger): void {
    this.mistakes += 1;
    for (const { sku } of stock.levels()) this.#levels.delete(sku);
    for (const id of entries.keys()) this.#entries.delete(id);
  }
}

/** The products whose level can change: what is asked for, and what is held. */
export function* skusOf(asks: Ask[], entries: Map<string, Entry>): Generator<string> {
  for (const { id, lines = [] } of asks) if (!entries.has(id)) yield* lines.map(({ sku }) => sku);
  for (const { reservation } of entries.values())
    if (reservation.state === ReservationState.HELD) yield* reservation.lines.map(({ sku }) => sku);
}

/** Values by key, those that exist: from memory, and where it has none, as they are read now. */
async function gather<Value>(
  remembered: Recent<Value>,
  keys: Set<string>,
  read: (keys: string[]) => Promise<[key: string, value: Value][]>,
): Promise<Map<string, Value>> {
  const found = new Map<string, Value | undefined>();
  // again, since what was remembered may be forgotten while the rest is read
  for (;;) {
    const missing = [...keys].filter((key) => !remembered.has(key) && !found.has(key));
    if (missing.length === 0) break;
    for (const key of missing) found.set(key, undefined);
    for (const [key, value] of await read(missing)) found.set(key, value);
  }
  return new Map(
    [...keys].flatMap((key) => {
      const value = remembered.get(key) ?? found.get(key);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** The values that were set last; when there are enough, those before them go all at once. */
class Recent<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  get(key: string): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  set(key: string, value: Value): void {
    this.#young.set(key, value);
    if (this.#young.size < ENOUGH) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
