import { create } from "@bufbuild/protobuf";
import {
  type StockChangeCause,
  StockChangedSchema,
  type StockLevel,
  StockLevelSchema,
} from "@emporium/contracts/inventory/v1";
import type { Database, OutboxRow, Tx } from "@emporium/database";
import { outboxEvent } from "@emporium/events";
import type { PrismaClient } from "./generated/prisma/client.js";

/** The columns of a product that make its level. */
export interface StockRow {
  sku: string;
  onHand: bigint;
  reserved: bigint;
  stockRevision: bigint;
}

/** Units by which a level changes. */
export interface StockDelta {
  onHand?: bigint;
  reserved?: bigint;
}

/** Typed SQL, since Prisma has no row locks. */
const READ = `
  SELECT sku, on_hand AS "onHand", reserved, stock_revision AS "stockRevision"
  FROM product WHERE sku = ANY($1::text[])`;

const LOCK = `${READ} ORDER BY sku FOR NO KEY UPDATE`;

/**
 * Writes levels that are still as they are known, in the order in which everybody locks them;
 * $1 to $7 are `columns()`. Beside the revision the quantities are compared: in
 * a database that was set back, a revision comes a second time, with another level. Typed SQL, since
 * Prisma writes rows with values of their own one by one.
 */
export const SAVE = `
  UPDATE product SET on_hand = new.on_hand, reserved = new.reserved, stock_revision = new.revision
  FROM (
    SELECT * FROM unnest(
      $1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]
    ) AS new (sku, known_on_hand, known_reserved, known_revision, on_hand, reserved, revision)
    ORDER BY sku COLLATE "C"
  ) AS new
  WHERE product.sku = new.sku AND product.stock_revision = new.known_revision
    AND product.on_hand = new.known_on_hand AND product.reserved = new.known_reserved`;

/**
 * The levels of some products, as they are known and after all moves so far. Nothing else in the
 * service writes a level: changes are decided here in memory, and saved by one statement that checks
 * that each level is still the one that is known.
 *
 * @example
 * const stock = new Stock();
 * await stock.lock(tx, ["85123A"]);
 * const level = stock.move("85123A", { reserved: 3n });
 * await stock.save(tx);
 */
export class Stock {
  readonly #levels = new Map<string, StockLevel>();
  readonly #known = new Map<string, StockLevel>();

  /**
   * Locks the rows in SKU order, the same for everybody, so that two callers never wait for each
   * other; SKUs that do not exist are left out.
   */
  async lock(tx: Tx<PrismaClient>, skus: Iterable<string>): Promise<void> {
    const wanted = [...new Set(skus)];
    if (wanted.length === 0) return;
    for (const row of await tx.query<StockRow>(LOCK, [wanted])) this.know(toLevel(row));
  }

  /** Takes a level for what it is without a lock; that it still is has to be checked on saving. */
  know(level: StockLevel): void {
    this.#levels.set(level.sku, level);
    this.#known.set(level.sku, level);
  }

  /** Every level as it is after all moves so far. */
  levels(): Iterable<StockLevel> {
    return this.#levels.values();
  }

  /** The level as it is after all moves so far; `undefined` where the product does not exist. */
  level(sku: string): StockLevel | undefined {
    return this.#levels.get(sku);
  }

  /** Whether a change keeps 0 <= reserved <= on_hand. */
  admits(sku: string, delta: StockDelta): boolean {
    const level = this.#levels.get(sku);
    return level !== undefined && isSound(moved(level, delta));
  }

  /** Changes a level and returns it. Callers ask `admits` first where the answer can be no. */
  move(sku: string, delta: StockDelta): StockLevel {
    const before = this.#levels.get(sku);
    if (!before) throw new Error(`The level of ${sku} is not known`);
    const after = moved(before, delta);
    if (!isSound(after)) throw new Error(`${sku} cannot have ${after.onHand}/${after.reserved}`);
    this.#levels.set(sku, after);
    return after;
  }

  /** The levels that have moved. */
  changed(): StockLevel[] {
    return [...this.#levels.values()].filter(
      ({ sku, revision }) => revision !== this.#known.get(sku)?.revision,
    );
  }

  /** $1 to $7 of `SAVE`: SKUs, what is known, and what to write, also where that is the same. */
  columns(): unknown[] {
    const known = [...this.#known.values()];
    const levels = [...this.#levels.values()];
    return [
      levels.map(({ sku }) => sku),
      ...[known, levels].flatMap((side) => [
        side.map(({ onHand }) => onHand),
        side.map(({ reserved }) => reserved),
        side.map(({ revision }) => revision),
      ]),
    ];
  }

  /**
   * Writes every level, in one statement, if one has moved. A row that is not the known one any more
   * was written by someone who holds no lock: the transaction fails.
   */
  async save(tx: Tx<PrismaClient>): Promise<void> {
    if (this.changed().length === 0) return;
    const saved = await tx.query(`${SAVE} RETURNING product.sku`, this.columns());
    if (saved.length !== this.#levels.size)
      throw new Error(`${this.#levels.size - saved.length} levels changed while they were locked`);
  }
}

/** Levels as they are now, without a lock; SKUs that do not exist are left out. */
export async function readLevels(
  database: Database<PrismaClient>,
  skus: string[],
): Promise<StockLevel[]> {
  return (await database.query<StockRow>(undefined, READ, [skus])).map(toLevel);
}

/** A product's level as the contract has it. */
export function toLevel({ sku, onHand, reserved, stockRevision }: StockRow): StockLevel {
  return create(StockLevelSchema, {
    sku,
    onHand,
    reserved,
    available: onHand - reserved,
    revision: stockRevision,
  });
}

/** The event that tells of changed levels; `reference` is what changed them, its aggregate. */
export function stockChanged(
  cause: StockChangeCause,
  reference: { id: string; version: number | bigint },
  levels: StockLevel[],
): OutboxRow {
  return outboxEvent(StockChangedSchema, {
    aggregateId: reference.id,
    version: reference.version,
    message: { cause, referenceId: reference.id, levels: levels.toSorted(bySku) },
  });
}

/** Orders by SKU as the database does: by bytes. */
export function bySku(one: { sku: string }, other: { sku: string }): number {
  return one.sku < other.sku ? -1 : one.sku > other.sku ? 1 : 0;
}

function moved(level: StockLevel, delta: StockDelta): StockLevel {
  const onHand = level.onHand + (delta.onHand ?? 0n);
  const reserved = level.reserved + (delta.reserved ?? 0n);
  return create(StockLevelSchema, {
    sku: level.sku,
    onHand,
    reserved,
    available: onHand - reserved,
    revision: level.revision + 1n,
  });
}

function isSound({ onHand, reserved }: StockLevel): boolean {
  return 0n <= reserved && reserved <= onHand;
}
