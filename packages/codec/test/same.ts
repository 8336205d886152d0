import { deepStrictEqual } from "node:assert/strict";
import { inspect } from "node:util";

/** What a function returned or threw. */
export function outcome(run: () => unknown): { value: unknown } | { error: string } {
  try {
    return { value: run() };
  } catch (error) {
    return { error: String(error) };
  }
}

/** Fails unless both are alike in everything that a program could see, order of properties included. */
export function expectSame(ours: unknown, theirs: unknown): void {
  deepStrictEqual(ours, theirs);
  const shown = (value: unknown) =>
    inspect(value, { depth: null, maxArrayLength: null, maxStringLength: null });
  if (shown(ours) !== shown(theirs)) deepStrictEqual(shown(ours), shown(theirs));
}
