import { describe, expect, test } from "vitest";
import { engine, nestTransport, type Serve } from "./transports.js";

/** What a scenario comes to on one transport: a sentence about it, and what it returned. */
type Outcome<Result> = readonly [sentence: string, result: Result];

/**
 * Plays one scenario on Nest's own transport and on this engine. `nest` says how the first falls
 * into the trap; should Nest mend it, its test fails and the row can go.
 */
export function trap<Result>(
  row: number,
  scenario: (serve: Serve) => Promise<Result>,
  outcomes: { nest: Outcome<Result>; engine: Outcome<Result> },
): void {
  describe(`trap ${row}`, () => {
    test(`Nest's own transport: ${outcomes.nest[0]}`, async () => {
      expect(await scenario(nestTransport)).toEqual(outcomes.nest[1]);
    });
    test(`this engine: ${outcomes.engine[0]}`, async () => {
      expect(await scenario(engine)).toEqual(outcomes.engine[1]);
    });
  });
}
