import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Product as ProductMessage,
  ProductSchema,
  Reason,
  type StockItem,
  StockItemSchema,
} from "@emporium/contracts/inventory/v1";
import { EngineReason } from "@emporium/contracts/options/v1";
import { Database } from "@emporium/database";
import { engineFailure } from "@emporium/grpc";
import { Inject, Injectable } from "@nestjs/common";
import { type Settings, SETTINGS } from "./config.js";
import { failure, productNotFound } from "./failure.js";
import type { PrismaClient, Product } from "./generated/prisma/client.js";
import { toMinorUnits, toMoney } from "./money.js";
import { fromPageToken, toPageToken } from "./page-token.js";
import { toLevel } from "./stock.js";

const DEFAULT_PAGE_SIZE = 100;

/** Typed SQL, since Prisma's queries do not end with the call. */
const SELECT = `
  SELECT sku, title, unit_price AS "unitPrice", on_hand AS "onHand", reserved,
    stock_revision AS "stockRevision", create_time AS "createTime", update_time AS "updateTime"
  FROM product`;

const CHECK = `${SELECT} WHERE sku = ANY($1::text[])`;

const PAGE = `${SELECT} WHERE sku > $1 ORDER BY sku LIMIT $2`;

/** What the shop sells. Levels it only reads: `stock.ts` writes them. */
@Injectable()
export class Catalogue {
  constructor(
    private readonly database: Database<PrismaClient>,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** A page of products by SKU, with the token of the next one. */
  async list(
    { pageSize, pageToken }: { pageSize: number; pageToken: string },
    signal: AbortSignal,
  ) {
    const after = fromPageToken(pageToken);
    const size = pageSize || DEFAULT_PAGE_SIZE;
    // one row more than the page tells whether there is another page
    const rows = await this.database.query<Product>(signal, PAGE, [after, size + 1]);
    const page = rows.slice(0, size);
    const last = rows.length > size ? page.at(-1) : undefined;
    return {
      products: page.map((row) => this.#toProduct(row)),
      nextPageToken: last ? toPageToken(last.sku) : "",
    };
  }

  /** One product with its level. */
  async get(sku: string, signal: AbortSignal): Promise<StockItem> {
    const [row] = await this.database.query<Product>(signal, CHECK, [[sku]]);
    if (!row) throw productNotFound([{ field: "sku", sku }]);
    return this.#toItem(row);
  }

  /** Products with their levels, in the order asked; every SKU must exist. */
  async check(skus: string[], signal?: AbortSignal): Promise<StockItem[]> {
    const rows = await this.database.query<Product>(signal, CHECK, [skus]);
    const items = new Map(rows.map((row) => [row.sku, this.#toItem(row)]));
    const unknown = skus
      .map((sku, index) => ({ field: `skus[${index}]`, sku }))
      .filter(({ sku }) => !items.has(sku));
    if (unknown.length > 0) throw productNotFound(unknown);
    return skus.flatMap((sku) => items.get(sku) ?? []);
  }

  /**
   * Changes title, price or both, as `mask` names them; a field that is named and not set is
   * emptied (AIP-134). With `allowMissing` a product that does not exist is created with all that
   * was given.
   */
  async update(
    product: ProductMessage,
    { mask = [], allowMissing }: { mask?: string[]; allowMissing: boolean },
    signal?: AbortSignal,
  ): Promise<ProductMessage> {
    const named = namedFields(product, mask);
    this.#checkCurrency(product);
    checkTitle(product);
    const { sku, title } = product;
    const unitPrice = product.unitPrice ? toMinorUnits(product.unitPrice) : null;
    const now = this.settings.clock.now();
    const row = await this.database.transaction(signal, async (tx) => {
      const before = await tx.product.findUnique({ where: { sku } });
      if (!before && !allowMissing) throw productNotFound([{ field: "product.sku", sku }]);
      const after = {
        title: named.has("title") || !before ? title : before.title,
        unitPrice: named.has("unit_price") || !before ? unitPrice : before.unitPrice,
      };
      if (before?.title === after.title && before.unitPrice === after.unitPrice) return before;
      // never read-add-save for levels, but of two writers of a title the last one is right
      return tx.product.upsert({
        where: { sku },
        create: { sku, ...after, createTime: now, updateTime: now },
        update: {
          title: named.has("title") ? title : undefined,
          unitPrice: named.has("unit_price") ? unitPrice : undefined,
          updateTime: now,
        },
      });
    });
    return this.#toProduct(row);
  }

  #checkCurrency({ unitPrice }: ProductMessage): void {
    if (!unitPrice || unitPrice.currencyCode === this.settings.currency) return;
    throw failure(Reason.WRONG_CURRENCY, `Prices are in ${this.settings.currency}`, {
      fieldViolations: [
        {
          field: "product.unit_price",
          description: `in ${unitPrice.currencyCode || "no currency"}, not ${this.settings.currency}`,
        },
      ],
    });
  }

  #toItem(row: Product): StockItem {
    return create(StockItemSchema, { product: this.#toProduct(row), level: toLevel(row) });
  }

  #toProduct({ sku, title, unitPrice, createTime, updateTime }: Product): ProductMessage {
    return create(ProductSchema, {
      sku,
      title,
      unitPrice: unitPrice === null ? undefined : toMoney(unitPrice, this.settings.currency),
      createTime: timestampFromDate(createTime),
      updateTime: timestampFromDate(updateTime),
    });
  }
}

/** The contract lets a NUL through, which Postgres does not store. */
function checkTitle({ title }: ProductMessage): void {
  if (!title.includes("\0")) return;
  throw engineFailure(EngineReason.INVALID_REQUEST, "A title has no NUL character", {
    fieldViolations: [{ field: "product.title", description: "has a NUL character" }],
  });
}

/** The fields to change; without a mask, those that are set. */
function namedFields({ title, unitPrice }: ProductMessage, mask: string[]): Set<string> {
  const wrong = mask.filter((path) => path !== "title" && path !== "unit_price");
  if (wrong.length > 0)
    throw failure(Reason.INVALID_UPDATE_MASK, "Only title and unit_price can be changed", {
      fieldViolations: wrong.map((path) => ({
        field: "update_mask",
        description: `${path} cannot be changed`,
      })),
    });
  if (mask.length > 0) return new Set(mask);
  return new Set([...(title ? ["title"] : []), ...(unitPrice ? ["unit_price"] : [])]);
}
