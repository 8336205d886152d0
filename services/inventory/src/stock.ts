import { create } from "@bufbuild/protobuf";
import {
  type StockChangeCause,
  StockChangedSchema,
  type StockLevel,
  StockLevelSchema,
} from "@emporium/contracts/inventory/v1";
import type { OutboxRow, Tx } from "@emporium/database";
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
const LOCK = `
  SELECT sku, on_hand AS "onHand", reserved, stock_revision AS "stockRevision"
  FROM product WHERE sku = ANY($1::text[])
  ORDER BY sku FOR NO KEY UPDATE`;

/** Typed SQL, since Prisma writes rows with values of their own one by one. */
const SAVE = `
  UPDATE product SET on_hand = new.on_hand, reserved = new.reserved, stock_revision = new.revision
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS new (sku, on_hand, reserved, revision, locked_revision)
  WHERE product.sku = new.sku AND product.stock_revision = new.locked_revision
  RETURNING product.sku`;

/**
 * The levels of some products while their rows are locked. Nothing else in the service writes a
 * level: changes are decided here in memory, where nobody can come between, and saved by one
 * statement that also checks them again.
 *
 * @example
 * const stock = new LockedStock();
 * await stock.lock(tx, ["85123A"]);
 * const level = stock.move("85123A", { reserved: 3n });
 * await stock.save(tx);
 */
export class LockedStock {
  readonly #levels = new Map<string, StockLevel>();
  readonly #lockedRevisions = new Map<string, bigint>();

  /**
   * Locks the rows in SKU order, the same for everybody, so that two callers never wait for each
   * other; SKUs that do not exist are left out.
   */
  async lock(tx: Tx<PrismaClient>, skus: Iterable<string>): Promise<void> {
    const wanted = [...new Set(skus)];
    if (wanted.length === 0) return;
    for (const row of await tx.query<StockRow>(LOCK, [wanted])) {
      this.#levels.set(row.sku, toLevel(row));
      this.#lockedRevisions.set(row.sku, row.stockRevision);
    }
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
    if (!before) throw new Error(`No product ${sku} is locked`);
    const after = moved(before, delta);
    if (!isSound(after)) throw new Error(`${sku} cannot have ${after.onHand}/${after.reserved}`);
    this.#levels.set(sku, after);
    return after;
  }

  /** The levels that have moved. */
  changed(): StockLevel[] {
    return [...this.#levels.values()].filter(
      ({ sku, revision }) => revision !== this.#lockedRevisions.get(sku),
    );
  }

  /**
   * Writes every level that has moved, in one statement. A row whose revision is not the locked one
   * any more was written by someone who holds no lock: the transaction fails.
   */
  async save(tx: Tx<PrismaClient>): Promise<void> {
    const levels = this.changed();
    if (levels.length === 0) return;
    const saved = await tx.query(SAVE, [
      levels.map((level) => level.sku),
      levels.map((level) => level.onHand),
      levels.map((level) => level.reserved),
      levels.map((level) => level.revision),
      levels.map((level) => this.#lockedRevisions.get(level.sku)),
    ]);
    if (saved.length !== levels.length)
      throw new Error(`${levels.length - saved.length} levels changed while they were locked`);
  }
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
