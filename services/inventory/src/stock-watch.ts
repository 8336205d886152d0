import {
  StockChangedSchema,
  type StockLevel,
  type WatchStockRequest,
} from "@emporium/contracts/inventory/v1";
import { EngineReason } from "@emporium/contracts/options/v1";
import { Database } from "@emporium/database";
import {
  Events,
  type FeedEvent,
  formatPosition,
  parsePosition,
  type StreamPosition,
  watch,
} from "@emporium/events";
import { engineFailure } from "@emporium/grpc";
import { Injectable } from "@nestjs/common";
import { Catalogue } from "./catalogue.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { type StockRow, toLevel } from "./stock.js";

/** Levels of one message. */
const BATCH = 1000;

/** Typed SQL, since it has to end with the call. */
const LEVELS = `
  SELECT sku, on_hand AS "onHand", reserved, stock_revision AS "stockRevision"
  FROM product WHERE sku > $1 AND ($2::text[] IS NULL OR sku = ANY($2::text[]))
  ORDER BY sku LIMIT ${BATCH}`;

/** Levels as they change, for any number of readers. */
@Injectable()
export class StockWatch {
  constructor(
    private readonly database: Database<PrismaClient>,
    private readonly events: Events<PrismaClient>,
    private readonly catalogue: Catalogue,
  ) {}

  /** The levels now, or what changed since the token; then every change until the signal fires. */
  async *watch({ skus, resumeToken }: WatchStockRequest, signal: AbortSignal) {
    const resume = fromResumeToken(resumeToken);
    if (skus.length > 0) await this.catalogue.check(skus, signal);
    const watched = new Set(skus);
    const batches = watch<StockLevel>({
      feed: this.events.feed("inventory"),
      select: (event) => levelsIn(event, watched),
      key: ({ sku }) => sku,
      // a level that never changed is at revision 0 and has to be told as well
      revision: ({ revision }) => revision + 1n,
      backfill: () => this.#levels(skus, signal),
      overflow: "latest",
      // what waits is bounded by the products there are
      capacity: Infinity,
      batchLimit: BATCH,
      resume,
      signal,
    });
    let token = resumeToken;
    for await (const { items, position, caughtUp } of batches) {
      // where the position is not known, changes since the last known one may come again
      if (position) token = toResumeToken(position);
      yield { levels: items, resumeToken: token, caughtUp };
    }
  }

  async *#levels(skus: string[], signal: AbortSignal): AsyncGenerator<StockLevel[]> {
    const wanted = skus.length > 0 ? skus : null;
    let rows: StockRow[];
    let after = "";
    do {
      rows = await this.database.query<StockRow>(signal, LEVELS, [after, wanted]);
      yield rows.map(toLevel);
      after = rows.at(-1)?.sku ?? after;
    } while (rows.length === BATCH);
  }
}

function levelsIn(event: FeedEvent, watched: Set<string>): StockLevel[] {
  const { levels = [] } = event.as(StockChangedSchema) ?? {};
  return watched.size > 0 ? levels.filter(({ sku }) => watched.has(sku)) : levels;
}

function toResumeToken(position: StreamPosition): string {
  return Buffer.from(formatPosition(position)).toString("base64url");
}

function fromResumeToken(token: string): StreamPosition | undefined {
  if (token === "") return undefined;
  const position = parsePosition(Buffer.from(token, "base64url").toString());
  if (position) return position;
  throw engineFailure(EngineReason.INVALID_RESUME_TOKEN, "The resume token is not one of ours", {
    fieldViolations: [{ field: "resume_token", description: "was never a resume_token" }],
  });
}
