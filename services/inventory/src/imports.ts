import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  type ImportRejection,
  ImportRejectionReason as Reason,
  ImportRejectionSchema,
  type ImportStockRequest,
  type ImportStockResponse,
  ImportStockResponseSchema,
  type Product,
  StockChangeCause,
} from "@emporium/contracts/inventory/v1";
import { EngineReason } from "@emporium/contracts/options/v1";
import { Database, type Tx } from "@emporium/database";
import { engineFailure } from "@emporium/grpc";
import { Inject, Injectable } from "@nestjs/common";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { toMinorUnits } from "./money.js";
import { Stock, stockChanged } from "./stock.js";

/** Entries of one transaction, and the most that are in memory at one time. */
const CHUNK = 500;

/** Rejections that are kept and reported. */
const REPORTED = 100;

/** Typed SQL: one statement for any number of rows, in SKU order, as everybody locks them. */
const SAVE_PRODUCTS = `
  INSERT INTO product (sku, title, unit_price, create_time, update_time)
  SELECT sku, title, unit_price, $4::timestamptz, $4::timestamptz
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS new (sku, title, unit_price)
  ORDER BY sku
  ON CONFLICT (sku) DO UPDATE SET
    title = excluded.title, unit_price = excluded.unit_price, update_time = excluded.update_time
  WHERE (product.title, product.unit_price) IS DISTINCT FROM (excluded.title, excluded.unit_price)`;

/** Typed SQL: makes the row or locks it, in one statement. */
const LOCK_IMPORT = `
  INSERT INTO stock_import (id, create_time) VALUES ($1, $2::timestamptz)
  ON CONFLICT (id) DO UPDATE SET id = excluded.id
  RETURNING decided, rejected, rejections, version`;

type Entry = ImportStockRequest["entry"];

/** How far an import has come. */
interface Progress {
  /** Entries that were applied or left out. */
  decided: bigint;
  rejected: bigint;
  rejections: JsonValue[];
  /** Of the last event. */
  version: bigint;
}

/** Deliveries and catalogue entries from outside, in any number. */
@Injectable()
export class Imports {
  constructor(
    private readonly database: Database<PrismaClient>,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /**
   * Applies entries in their order, a chunk at a time, each chunk together with the note of how far
   * the import has come: sent again, it goes on there. Reads on when a chunk is done.
   */
  async run(
    requests: AsyncIterable<ImportStockRequest>,
    signal?: AbortSignal,
  ): Promise<ImportStockResponse> {
    let progress: Progress = { decided: 0n, rejected: 0n, rejections: [], version: 0n };
    let received = 0;
    let importId = "";
    for await (const chunk of chunksOf(requests)) {
      importId ||= chunk[0]?.importId ?? "";
      checkImportId(chunk, importId);
      const entries = chunk.map(({ entry }) => entry);
      if (received + entries.length > progress.decided)
        progress = await this.#apply(importId, { first: received, entries }, signal);
      received += entries.length;
    }
    return create(ImportStockResponseSchema, {
      received: BigInt(received),
      applied: progress.decided - progress.rejected,
      rejected: progress.rejected,
      rejections: progress.rejections.map((json) => fromJson(ImportRejectionSchema, json)),
    });
  }

  #apply(
    id: string,
    chunk: { first: number; entries: Entry[] },
    signal?: AbortSignal,
  ): Promise<Progress> {
    return this.database.transaction(signal, async (tx) => {
      const before = await lockImport(tx, id, this.settings.clock.now());
      const first = Math.max(chunk.first, Number(before.decided));
      const entries = chunk.entries.slice(first - chunk.first);
      if (entries.length === 0) return before;

      const stock = new Stock();
      await stock.lock(tx, entries.map(skuOf));
      const created = await this.#saveProducts(tx, entries, stock);
      const rejections = this.#decide(entries, { first, stock, created });
      await stock.save(tx);

      const levels = stock.changed();
      const version = before.version + (levels.length > 0 ? 1n : 0n);
      if (levels.length > 0)
        tx.emit(stockChanged(StockChangeCause.IMPORTED, { id, version }, levels));
      return saveProgress(tx, id, {
        decided: before.decided + BigInt(entries.length),
        rejected: before.rejected + BigInt(rejections.length),
        rejections: [
          ...before.rejections,
          ...rejections.map((rejection) => toJson(ImportRejectionSchema, rejection)),
        ].slice(0, REPORTED),
        version,
      });
    });
  }

  /**
   * Puts the chunk's products into the catalogue, the last entry of each, and returns those that
   * are new.
   */
  async #saveProducts(tx: Tx<PrismaClient>, entries: Entry[], stock: Stock): Promise<Set<string>> {
    const products = new Map<string, Product>();
    for (const { case: kind, value } of entries)
      if (kind === "product" && !this.#flawOf(value)) products.set(value.sku, value);
    const values = [...products.values()];
    if (values.length === 0) return new Set();
    await tx.query(SAVE_PRODUCTS, [
      values.map(({ sku }) => sku),
      values.map(({ title }) => title),
      values.map(({ unitPrice }) => unitPrice && toMinorUnits(unitPrice)),
      this.settings.clock.now(),
    ]);
    const created = [...products.keys()].filter((sku) => !stock.level(sku));
    await stock.lock(tx, created);
    return new Set(created);
  }

  /** Applies the entries one after another in memory; returns those that have to be left out. */
  #decide(
    entries: Entry[],
    { first, stock, created }: { first: number; stock: Stock; created: Set<string> },
  ): ImportRejection[] {
    // products that are new stand in the catalogue from their own entry on, not before
    const awaited = new Set(created);
    const reasonOf = ({ case: kind, value }: Entry): Reason | undefined => {
      if (kind === "product") {
        const flaw = this.#flawOf(value);
        if (!flaw) awaited.delete(value.sku);
        return flaw;
      }
      if (kind !== "adjustment") return undefined;
      const { sku, delta } = value;
      if (!stock.level(sku) || awaited.has(sku)) return Reason.PRODUCT_NOT_FOUND;
      if (!stock.admits(sku, { onHand: delta })) return Reason.BELOW_RESERVED;
      stock.move(sku, { onHand: delta });
      return undefined;
    };
    return entries.flatMap((entry, offset) => {
      const reason = reasonOf(entry);
      const index = BigInt(first + offset);
      return reason ? [create(ImportRejectionSchema, { index, sku: skuOf(entry), reason })] : [];
    });
  }

  #flawOf({ title, unitPrice }: Product): Reason | undefined {
    // Postgres stores no NUL
    if (!title || title.includes("\0") || !unitPrice) return Reason.INCOMPLETE_PRODUCT;
    return unitPrice.currencyCode === this.settings.currency ? undefined : Reason.WRONG_CURRENCY;
  }
}

/** The import's row, made where it is new, and locked: the same import sent twice takes turns. */
async function lockImport(tx: Tx<PrismaClient>, id: string, now: Date): Promise<Progress> {
  const [row] = await tx.query<Progress>(LOCK_IMPORT, [id, now]);
  if (!row) throw new Error(`Import ${id} has no row`);
  return row;
}

async function saveProgress(tx: Tx<PrismaClient>, id: string, progress: Progress) {
  const { rejections, ...counts } = progress;
  await tx.stockImport.update({
    where: { id },
    data: { ...counts, rejections: rejections as object[] },
  });
  return progress;
}

function skuOf({ value }: Entry): string {
  return value?.sku ?? "";
}

function checkImportId(chunk: ImportStockRequest[], importId: string): void {
  if (chunk.every((request) => request.importId === importId)) return;
  throw engineFailure(EngineReason.INVALID_REQUEST, "All messages of an import have its id", {
    fieldViolations: [{ field: "import_id", description: `is not ${importId} in every message` }],
  });
}

async function* chunksOf<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let chunk: T[] = [];
  for await (const item of items) {
    chunk.push(item);
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
