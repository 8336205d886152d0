import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type CreateQuoteRequest,
  CreateQuoteRequestSchema,
  type PricedLine,
  type Quote,
  QuoteSchema,
  Reason,
} from "@emporium/contracts/checkout/v1";
import { Database } from "@emporium/database";
import { Inject, Injectable } from "@nestjs/common";
import { Catalogue } from "./catalogue.js";
import { type Settings, SETTINGS } from "./config.js";
import { contentHash } from "./content-hash.js";
import { failure } from "./failure.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import {
  type Basket,
  fromStoredLines,
  lineMessages,
  type StoredLine,
  totalOf,
  toStoredLines,
} from "./lines.js";
import { toMinorUnits, toMoney } from "./money.js";

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

/** Most quotes that a visitor is offered. */
const MOST_OFFERS = 100;

interface QuoteRow {
  quoteId: string;
  customerId: string;
  currency: string;
  total: bigint;
  lines: StoredLine[];
  contentHash: Uint8Array<ArrayBuffer>;
  expireTime: Date;
  createTime: Date;
}

/** Promised prices. Who may buy at them is decided here; the checkout that buys is `purchases.ts`'. */
@Injectable()
export class Quotes {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly catalogue: Catalogue,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** Makes a quote, or gives the one that its id stands for already. */
  async create(request: CreateQuoteRequest, signal: AbortSignal): Promise<Quote> {
    this.#checkCurrency(request.lines);
    const hash = contentHash(CreateQuoteRequestSchema, withoutTitles(request));
    const known = await this.#findSame(request.quoteId, hash, signal);
    if (known) return toMessage(known);
    const row = await this.#toRow(request, hash, signal);
    if (await this.#insert(row, signal)) return toMessage(row);
    // Somebody used the id at the same moment.
    return this.create(request, signal);
  }

  /** What a customer may buy with a quote now, or the failure that the contract names. */
  async basketFor(quoteId: string, customerId: string, signal: AbortSignal): Promise<Basket> {
    type Row = QuoteRow & { used: boolean };
    const [row] = await this.database.query<Row>(signal, FIND, [quoteId]);
    // Another customer's quote is not told apart from none.
    if (!row || row.customerId !== customerId)
      throw failure(Reason.QUOTE_NOT_FOUND, `There is no quote ${quoteId}`, {
        resourceType: QuoteSchema.typeName,
        resourceName: quoteId,
        description: "No quote of this customer has this id",
      });
    if (row.expireTime <= this.settings.clock.now())
      throw impossible(Reason.QUOTE_EXPIRED, quoteId, `expired ${row.expireTime.toISOString()}`);
    if (row.used) throw impossible(Reason.QUOTE_USED, quoteId, "is bought by another checkout");
    return { lines: fromStoredLines(row.lines), total: row.total, currency: row.currency };
  }

  /** The quotes that a customer can buy, the first to expire first; none for a guest. */
  async offersFor(customerId: string, signal: AbortSignal): Promise<Quote[]> {
    // A guest's quote is for whoever knows its id, not for every guest.
    if (customerId === "") return [];
    const values = [customerId, this.settings.clock.now(), MOST_OFFERS];
    return (await this.database.query<QuoteRow>(signal, OFFERS, values)).map(toMessage);
  }

  #checkCurrency(lines: readonly PricedLine[]): void {
    const { currency } = this.catalogue;
    const fieldViolations = lines.flatMap(({ unitPrice }, index) =>
      unitPrice?.currencyCode === currency
        ? []
        : [
            {
              field: `lines[${index}].unit_price.currency_code`,
              description: `${unitPrice?.currencyCode || "no currency"} instead of ${currency}`,
            },
          ],
    );
    if (fieldViolations.length === 0) return;
    throw failure(Reason.WRONG_CURRENCY, `Prices are in ${currency}`, { fieldViolations });
  }

  async #findSame(
    quoteId: string,
    hash: Buffer,
    signal: AbortSignal,
  ): Promise<QuoteRow | undefined> {
    const [known] = await this.database.query<QuoteRow>(signal, FIND, [quoteId]);
    if (!known || hash.equals(known.contentHash)) return known;
    throw failure(Reason.QUOTE_MISMATCH, `${quoteId} stands for another quote`, {
      resourceType: QuoteSchema.typeName,
      resourceName: quoteId,
      description: "The id was used for a quote with other content",
    });
  }

  /** False where the id is taken. */
  async #insert(row: QuoteRow, signal: AbortSignal): Promise<boolean> {
    const inserted = await this.database.query(signal, INSERT, [
      row.quoteId,
      row.customerId,
      row.currency,
      row.total,
      JSON.stringify(row.lines),
      row.contentHash,
      row.expireTime,
      row.createTime,
    ]);
    return inserted.length > 0;
  }

  async #toRow(
    { quoteId, customerId, lines, expireTime }: CreateQuoteRequest,
    hash: Buffer,
    signal: AbortSignal,
  ): Promise<QuoteRow> {
    const items = await this.catalogue.find(lines, "lines", signal);
    const now = this.settings.clock.now();
    const priced = lines.map(({ sku, quantity, unitPrice }) => ({
      sku,
      title: items.get(sku)?.product?.title ?? "",
      quantity,
      unitPrice: unitPrice ? toMinorUnits(unitPrice) : 0n,
    }));
    return {
      quoteId,
      customerId,
      currency: this.catalogue.currency,
      total: totalOf(priced),
      lines: toStoredLines(priced),
      contentHash: new Uint8Array(hash),
      expireTime: expireTime ? timestampDate(expireTime) : new Date(now.getTime() + WEEK_MS),
      createTime: now,
    };
  }
}

/** Titles are the catalogue's; what a caller says there is not content. */
function withoutTitles(request: CreateQuoteRequest): CreateQuoteRequest {
  const lines = request.lines.map((line) => ({ ...line, title: "" }));
  return create(CreateQuoteRequestSchema, { ...request, lines });
}

function toMessage(row: QuoteRow): Quote {
  return create(QuoteSchema, {
    quoteId: row.quoteId,
    customerId: row.customerId,
    lines: lineMessages(fromStoredLines(row.lines), row.currency),
    total: toMoney(row.total, row.currency),
    expireTime: timestampFromDate(row.expireTime),
    createTime: timestampFromDate(row.createTime),
  });
}

function impossible(reason: Reason, quoteId: string, what: string): Error {
  return failure(reason, `${quoteId} ${what}`, {
    violations: [{ type: "QUOTE", subject: quoteId, description: `it ${what}` }],
  });
}

/** Not Prisma: these end with the call, and whether a quote is used stands elsewhere. */
const COLUMNS = `
  quote_id AS "quoteId", customer_id AS "customerId", currency, total, lines,
  content_hash AS "contentHash", expire_time AS "expireTime", create_time AS "createTime"`;

const USED = `
  EXISTS (SELECT 1 FROM checkouts WHERE checkouts.quote_id = quotes.quote_id AND state <> 'REFUSED')`;

const FIND = `SELECT ${COLUMNS}, ${USED} AS used FROM quotes WHERE quote_id = $1`;

const OFFERS = `
  SELECT ${COLUMNS} FROM quotes
  WHERE customer_id = $1 AND expire_time > $2 AND NOT ${USED}
  ORDER BY expire_time, quote_id LIMIT $3`;

const INSERT = `
  INSERT INTO quotes (
    quote_id, customer_id, currency, total, lines, content_hash, expire_time, create_time
  )
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
  ON CONFLICT DO NOTHING
  RETURNING quote_id`;
