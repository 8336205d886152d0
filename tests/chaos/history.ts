/**
 * Holds a history of calls against a model: is there an order in which each took effect at some
 * moment between its beginning and its end, and all answers are right? That is linearizability
 * (Herlihy and Wing, 1990). The model is stock as a bank account, one for each product.
 */

/** One change or look; `false` where the account does not allow it. */
export type Step =
  | { kind: "reserve" | "commit" | "release" | "put back"; units: number }
  /** A refusal: fewer units than these were available. */
  | { kind: "short"; units: number }
  | { kind: "read"; onHand: number; reserved: number };

/** A call as its caller saw it, and the steps it must have taken, in this order. */
export interface Operation {
  what: string;
  /** Milliseconds of one clock; `end` is Infinity where no answer came. */
  start: number;
  end: number;
  steps: Step[];
}

/** Units of a product. */
export interface Account {
  onHand: number;
  reserved: number;
}

/** Ways on that one moment may have; a history that needs more is too wide to be checked. */
const WIDEST = 200_000;

/** Calls that may be open at one time, and a number that no call has as many steps as. */
const [MOST_OPEN, RADIX] = [24, 4];

/**
 * The first call that no order explains; `undefined` where the history is linearizable.
 *
 * Moments are taken one after the other (Lowe, "Testing for linearizability", 2017): all ways are
 * kept that the account may have come, each with how many steps every open call has taken in it. At a
 * call's end, only those stay in which it has taken all of its steps. Units add up the same in any
 * order, so the steps taken also say where the account stands: a way is one number, a digit a call.
 */
export function firstViolation(
  initial: Account,
  operations: readonly Operation[],
): Operation | undefined {
  const open = Array.from({ length: MOST_OPEN }, (): Operation | undefined => undefined);
  let ways = new Map([[0, initial]]);
  for (const { operation, begins } of moments(operations)) {
    const place = open.indexOf(begins ? undefined : operation);
    if (place < 0) throw new Error(`Too many calls at one time: ${operation.what}`);
    open[place] = begins ? operation : undefined;
    if (begins) continue;
    ways = waysTo(ways, open.with(place, operation), place);
    if (ways.size === 0) return operation;
  }
  return undefined;
}

function moments(operations: readonly Operation[]) {
  return operations
    .flatMap((operation) => [
      { operation, begins: true, at: operation.start },
      { operation, begins: false, at: operation.end },
    ])
    .filter(({ at }) => at < Infinity)
    .toSorted((one, other) => one.at - other.at || Number(other.begins) - Number(one.begins));
}

/** Every way on in which the call at this place takes its last step, without that call. */
function waysTo(
  from: Map<number, Account>,
  open: readonly (Operation | undefined)[],
  ending: number,
): Map<number, Account> {
  const calls = open.flatMap((call, place) => (call ? [{ call, digit: RADIX ** place }] : []));
  const { digit, call } = calls.find((each) => each.digit === RADIX ** ending)!;
  const ended = new Map<number, Account>();
  // A map that grows while it is walked shows what was added as well.
  const seen = new Map(from);
  for (const [way, account] of seen) {
    if (Math.floor(way / digit) % RADIX === call.steps.length)
      ended.set(way - digit * call.steps.length, account);
    for (const each of calls) {
      const step = each.call.steps[Math.floor(way / each.digit) % RADIX];
      if (!step || seen.has(way + each.digit)) continue;
      const after = take(account, step);
      if (after) seen.set(way + each.digit, after);
    }
    if (seen.size > WIDEST) throw new Error(`Too many ways at one time: ${call.what}`);
  }
  return ended;
}

function take({ onHand, reserved }: Account, step: Step): Account | undefined {
  switch (step.kind) {
    case "reserve":
      return onHand - reserved >= step.units
        ? { onHand, reserved: reserved + step.units }
        : undefined;
    case "commit":
      return { onHand: onHand - step.units, reserved: reserved - step.units };
    case "release":
      return { onHand, reserved: reserved - step.units };
    case "put back":
      return { onHand: onHand + step.units, reserved };
    case "short":
      return onHand - reserved < step.units ? { onHand, reserved } : undefined;
    case "read":
      return onHand === step.onHand && reserved === step.reserved
        ? { onHand, reserved }
        : undefined;
  }
}
