import { getOption } from "@bufbuild/protobuf";
import { Reason } from "@emporium/contracts/checkout/v1";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import type { Money } from "@emporium/contracts/google/type";
import {
  InventoryService,
  ReasonSchema as InventoryReasonSchema,
  type StockItem,
} from "@emporium/contracts/inventory/v1";
import { EngineReason, error_domain } from "@emporium/contracts/options/v1";
import { type Client, engineFailure, findDetail, InjectClient, reasonOf } from "@emporium/grpc";
import { Inject, Injectable } from "@nestjs/common";
import { type Settings, SETTINGS } from "./config.js";
import { failure } from "./failure.js";
import { type Basket, type Line, MOST_UNITS, totalOf, unitsPerSku } from "./lines.js";
import { toMinorUnits } from "./money.js";

interface WantedLine {
  sku: string;
  quantity: bigint;
}

/** What inventory says of products, asked once for all lines. */
@Injectable()
export class Catalogue {
  /** ISO 4217 code of the currency that all prices are in. */
  readonly currency: string;

  constructor(
    @InjectClient(InventoryService) private readonly inventory: Client<typeof InventoryService>,
    @Inject(SETTINGS) { currency }: Settings,
  ) {
    this.currency = currency;
  }

  /**
   * A cart at list prices, and the stock of its products by SKU. `field` is where the lines stand in
   * the request, for failures.
   */
  async price(
    lines: readonly WantedLine[],
    field: string,
    signal: AbortSignal,
  ): Promise<{ basket: Basket; stock: Map<string, StockItem> }> {
    const stock = await this.find(lines, field, signal);
    const prices = new Map<string, bigint>();
    for (const [sku, { product }] of stock) {
      if (product?.unitPrice) prices.set(sku, this.#inShopCurrency(product.unitPrice));
    }
    // A product without a price is in the catalogue, and not for sale.
    if (prices.size < stock.size) throw notFound(lines, field, ({ sku }) => !prices.has(sku));
    const priced = lines.map(({ sku, quantity }): Line => {
      const title = stock.get(sku)?.product?.title ?? "";
      return { sku, title, quantity, unitPrice: prices.get(sku) ?? 0n };
    });
    const basket = { lines: priced, total: totalOf(priced), currency: this.currency };
    return { basket, stock };
  }

  /**
   * Products and levels by SKU. Fails with PRODUCT_NOT_FOUND, which names every line whose product
   * does not exist, and with INVALID_REQUEST where the lines of one product add up to more than can
   * be reserved.
   */
  async find(
    lines: readonly WantedLine[],
    field: string,
    signal: AbortSignal,
  ): Promise<Map<string, StockItem>> {
    const units = unitsPerSku(lines);
    const tooMany = new Set(
      units.filter(({ quantity }) => quantity > MOST_UNITS).map(({ sku }) => sku),
    );
    if (tooMany.size > 0) throw tooManyUnits(lines, field, tooMany);
    const skus = units.map(({ sku }) => sku);
    try {
      const { items } = await this.inventory.checkStock({ skus }, { signal });
      return new Map(items.map((item) => [item.product?.sku ?? "", item]));
    } catch (error) {
      const unknown = unknownSkus(error, skus);
      if (unknown.size === 0) throw error;
      throw notFound(lines, field, ({ sku }) => unknown.has(sku));
    }
  }

  #inShopCurrency(price: Money): bigint {
    if (price.currencyCode === this.currency) return toMinorUnits(price);
    throw new Error(`Inventory has prices in ${price.currencyCode}, this shop in ${this.currency}`);
  }
}

/** Inventory names the fields of its own request, `skus[3]`. */
function unknownSkus(error: unknown, skus: readonly string[]): Set<string> {
  const found = reasonOf(error);
  if (
    found?.domain !== getOption(InventoryReasonSchema, error_domain) ||
    found.reason !== "PRODUCT_NOT_FOUND"
  )
    return new Set();
  const violations = findDetail(error, BadRequestSchema)?.fieldViolations ?? [];
  const at = violations.map(({ field }) => Number(/^skus\[(\d+)\]$/.exec(field)?.[1]));
  return new Set(at.flatMap((index) => skus[index] ?? []));
}

function notFound(
  lines: readonly WantedLine[],
  field: string,
  isMissing: (line: WantedLine) => boolean,
): Error {
  return failure(Reason.PRODUCT_NOT_FOUND, "The shop does not have some of these products", {
    fieldViolations: lines.flatMap((line, index) =>
      isMissing(line)
        ? [
            {
              field: `${field}[${index}].sku`,
              description: `there is no product ${line.sku}`,
              reason: "PRODUCT_NOT_FOUND",
            },
          ]
        : [],
    ),
  });
}

function tooManyUnits(
  lines: readonly WantedLine[],
  field: string,
  skus: ReadonlySet<string>,
): Error {
  return engineFailure(EngineReason.INVALID_REQUEST, "Too many units of one product", {
    fieldViolations: lines.flatMap(({ sku }, index) =>
      skus.has(sku)
        ? [
            {
              field: `${field}[${index}].quantity`,
              description: `at most ${MOST_UNITS} units of ${sku} in all lines together`,
            },
          ]
        : [],
    ),
  });
}
