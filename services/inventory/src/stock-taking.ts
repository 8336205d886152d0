import { create } from "@bufbuild/protobuf";
import {
  CountOutcome,
  type CountStockResponse,
  CountStockResponseSchema,
  StockChangeCause,
} from "@emporium/contracts/inventory/v1";
import { Database } from "@emporium/database";
import { newId } from "@emporium/runtime";
import { Injectable } from "@nestjs/common";
import { productNotFound } from "./failure.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { type Count, Recount } from "./recount.js";
import { Stock, stockChanged } from "./stock.js";

/** Compares what is on the shelves with the books, and mends the books. */
@Injectable()
export class StockTaking {
  constructor(private readonly database: Database<PrismaClient>) {}

  /** Answers the counts of one session, one by one: the next is read when this one is answered. */
  async *answer(counts: AsyncIterable<Count>, signal?: AbortSignal) {
    const session = { id: newId("cnt"), corrections: 0, recount: new Recount() };
    for await (const count of counts) {
      const answer = await this.#answerOne(count, session, signal);
      if (answer.outcome === CountOutcome.CORRECTED) session.corrections++;
      session.recount.note(count, answer.outcome);
      yield answer;
    }
  }

  #answerOne(
    { sku, counted }: Count,
    { id, corrections, recount }: { id: string; corrections: number; recount: Recount },
    signal?: AbortSignal,
  ): Promise<CountStockResponse> {
    return this.database.transaction(signal, async (tx) => {
      const stock = new Stock();
      await stock.lock(tx, [sku]);
      const level = stock.level(sku);
      if (!level) throw productNotFound([{ field: "sku", sku }]);
      const discrepancy = counted - level.onHand;
      const outcome = recount.judge({ sku, counted }, level);
      if (outcome === CountOutcome.CORRECTED) {
        const after = stock.move(sku, { onHand: discrepancy });
        await stock.save(tx);
        const reference = { id, version: corrections + 1 };
        tx.emit(stockChanged(StockChangeCause.COUNTED, reference, [after]));
      }
      return create(CountStockResponseSchema, {
        sku,
        expected: level.onHand,
        discrepancy,
        outcome,
      });
    });
  }
}
