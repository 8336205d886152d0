import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { type Reservation, ReservationState } from "@emporium/contracts/inventory/v1";
import {
  BadRequestSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
} from "@emporium/contracts/google/rpc";
import { findDetail, reasonOf } from "@emporium/grpc";
import { type MovableClock, newId } from "@emporium/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { levelsOf, stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient } from "./running-inventory.js";

const TTL_MS = 15 * 60_000;

/** What happens to one reservation. Product a has 10 units, b has 5, z does not exist. */
type Step =
  | { reserve: Partial<Record<"a" | "b" | "z", number>> }
  | "commit"
  | "release"
  | "time passes"
  | "sweep"
  | "10 units of a come in"
  | "z comes in";

interface Row {
  /** Row of the outcome table in the contract, and when it applies. */
  outcome: string;
  given?: Step[];
  ask: Step;
  /** State of the reservation, or reason of the failure. */
  answer: keyof typeof ReservationState | Failure;
  /** `[on hand, reserved]` of a and b. */
  levels?: [a: [number, number], b: [number, number]];
}

/** Reason, then what its detail says. */
type Failure = [reason: string, ...details: string[]];

const untouched: Row["levels"] = [
  [10, 0],
  [5, 0],
];

const reserveStock: Row[] = [
  ...(
    [
      ["held", []],
      ["committed", ["commit"]],
      ["released", ["release"]],
      ["expired", ["time passes"]],
    ] as [string, Step[]][]
  ).map(([state, steps]): Row => ({
    outcome: `1. RESERVATION_MISMATCH: another quantity, where it is ${state}`,
    given: [{ reserve: { a: 2 } }, ...steps],
    ask: { reserve: { a: 3 } },
    answer: ["RESERVATION_MISMATCH", "emporium.inventory.v1.Reservation"],
  })),
  {
    outcome: "1. RESERVATION_MISMATCH: another product",
    given: [{ reserve: { a: 2 } }],
    ask: { reserve: { b: 2 } },
    answer: ["RESERVATION_MISMATCH", "emporium.inventory.v1.Reservation"],
    levels: [
      [10, 2],
      [5, 0],
    ],
  },
  {
    outcome: "1. RESERVATION_MISMATCH: one line more",
    given: [{ reserve: { a: 2 } }],
    ask: { reserve: { a: 2, b: 1 } },
    answer: ["RESERVATION_MISMATCH", "emporium.inventory.v1.Reservation"],
  },
  {
    outcome: "1. RESERVATION_MISMATCH: also where what it stands for was refused",
    given: [{ reserve: { a: 11 } }],
    ask: { reserve: { a: 1 } },
    answer: ["RESERVATION_MISMATCH", "emporium.inventory.v1.Reservation"],
    levels: untouched,
  },
  {
    outcome: "1. RESERVATION_MISMATCH comes before PRODUCT_NOT_FOUND",
    given: [{ reserve: { a: 2 } }],
    ask: { reserve: { z: 2 } },
    answer: ["RESERVATION_MISMATCH", "emporium.inventory.v1.Reservation"],
  },
  {
    outcome: "2. RESERVATION_NOT_HELD: released before it was ever reserved",
    given: ["release"],
    ask: { reserve: { a: 2 } },
    answer: ["RESERVATION_NOT_HELD", "it is RELEASED"],
    levels: untouched,
  },
  {
    outcome: "2. RESERVATION_NOT_HELD comes before PRODUCT_NOT_FOUND",
    given: ["release"],
    ask: { reserve: { z: 2 } },
    answer: ["RESERVATION_NOT_HELD", "it is RELEASED"],
  },
  {
    outcome: "3. OUT_OF_STOCK: the first answer again, also when there is enough by now",
    given: [{ reserve: { a: 11 } }, "10 units of a come in"],
    ask: { reserve: { a: 11 } },
    answer: ["OUT_OF_STOCK", "a: 11 wanted, 10 available"],
    levels: [
      [20, 0],
      [5, 0],
    ],
  },
  {
    outcome: "4. OK: the same again, held once",
    given: [{ reserve: { a: 2, b: 1 } }],
    ask: { reserve: { b: 1, a: 2 } },
    answer: "HELD",
    levels: [
      [10, 2],
      [5, 1],
    ],
  },
  {
    outcome: "4. OK: as it is now, committed",
    given: [{ reserve: { a: 2 } }, "commit"],
    ask: { reserve: { a: 2 } },
    answer: "COMMITTED",
    levels: [
      [8, 0],
      [5, 0],
    ],
  },
  {
    outcome: "4. OK: as it is now, released",
    given: [{ reserve: { a: 2 } }, "release"],
    ask: { reserve: { a: 2 } },
    answer: "RELEASED",
    levels: untouched,
  },
  {
    outcome: "4. OK: as it is now, expired, also where no sweep has seen it",
    given: [{ reserve: { a: 2 } }, "time passes"],
    ask: { reserve: { a: 2 } },
    answer: "EXPIRED",
    levels: untouched,
  },
  {
    outcome: "5. PRODUCT_NOT_FOUND names the line",
    ask: { reserve: { a: 1, z: 1 } },
    answer: ["PRODUCT_NOT_FOUND", "lines[1].sku: there is no product z"],
    levels: untouched,
  },
  {
    outcome: "5. PRODUCT_NOT_FOUND comes before OUT_OF_STOCK",
    ask: { reserve: { a: 11, z: 1 } },
    answer: ["PRODUCT_NOT_FOUND", "lines[1].sku: there is no product z"],
  },
  {
    outcome: "5. PRODUCT_NOT_FOUND is not remembered",
    given: [{ reserve: { z: 1 } }, "z comes in"],
    ask: { reserve: { z: 1 } },
    answer: "HELD",
  },
  {
    outcome: "6. OUT_OF_STOCK names each product that is short, and nothing is held",
    ask: { reserve: { b: 6, a: 11 } },
    answer: ["OUT_OF_STOCK", "a: 11 wanted, 10 available", "b: 6 wanted, 5 available"],
    levels: untouched,
  },
  {
    outcome: "6. OUT_OF_STOCK: a line that there is enough of is not held either",
    ask: { reserve: { a: 1, b: 6 } },
    answer: ["OUT_OF_STOCK", "b: 6 wanted, 5 available"],
    levels: untouched,
  },
  {
    outcome: "7. OK: HELD, down to the last unit",
    ask: { reserve: { a: 10, b: 5 } },
    answer: "HELD",
    levels: [
      [10, 10],
      [5, 5],
    ],
  },
];

const commitReservation: Row[] = [
  {
    outcome: "1. RESERVATION_NOT_FOUND",
    ask: "commit",
    answer: ["RESERVATION_NOT_FOUND", "emporium.inventory.v1.Reservation"],
  },
  {
    outcome: "2. OK: committed already; sold once",
    given: [{ reserve: { a: 2 } }, "commit"],
    ask: "commit",
    answer: "COMMITTED",
    levels: [
      [8, 0],
      [5, 0],
    ],
  },
  {
    outcome: "2. OK: committed already, and its time has passed since",
    given: [{ reserve: { a: 2 } }, "commit", "time passes"],
    ask: "commit",
    answer: "COMMITTED",
  },
  {
    outcome: "3. RESERVATION_NOT_HELD: refused",
    given: [{ reserve: { a: 11 } }],
    ask: "commit",
    answer: ["RESERVATION_NOT_HELD", "it is REFUSED"],
  },
  {
    outcome: "3. RESERVATION_NOT_HELD: released",
    given: [{ reserve: { a: 2 } }, "release"],
    ask: "commit",
    answer: ["RESERVATION_NOT_HELD", "it is RELEASED"],
    levels: untouched,
  },
  {
    outcome: "3. RESERVATION_NOT_HELD: released before it was ever reserved",
    given: ["release"],
    ask: "commit",
    answer: ["RESERVATION_NOT_HELD", "it is RELEASED"],
  },
  {
    outcome: "4. RESERVATION_EXPIRED: seen only now, and its units are free",
    given: [{ reserve: { a: 2 } }, "time passes"],
    ask: "commit",
    answer: ["RESERVATION_EXPIRED", "it is EXPIRED"],
    levels: untouched,
  },
  {
    outcome: "4. RESERVATION_EXPIRED: seen by a sweep before",
    given: [{ reserve: { a: 2 } }, "time passes", "sweep"],
    ask: "commit",
    answer: ["RESERVATION_EXPIRED", "it is EXPIRED"],
    levels: untouched,
  },
  {
    outcome: "5. OK: COMMITTED, and its units have left the warehouse",
    given: [{ reserve: { a: 2, b: 5 } }],
    ask: "commit",
    answer: "COMMITTED",
    levels: [
      [8, 0],
      [0, 0],
    ],
  },
];

const releaseReservation: Row[] = [
  { outcome: "1. OK: the id is unknown", ask: "release", answer: "RELEASED", levels: untouched },
  {
    outcome: "2. OK: released already",
    given: [{ reserve: { a: 2 } }, "release"],
    ask: "release",
    answer: "RELEASED",
    levels: untouched,
  },
  {
    outcome: "2. OK: released already, before it was ever reserved",
    given: ["release"],
    ask: "release",
    answer: "RELEASED",
  },
  {
    outcome: "2. OK: expired already, also where no sweep has seen it",
    given: [{ reserve: { a: 2 } }, "time passes"],
    ask: "release",
    answer: "EXPIRED",
    levels: untouched,
  },
  {
    outcome: "2. OK: refused already",
    given: [{ reserve: { a: 11 } }],
    ask: "release",
    answer: "REFUSED",
    levels: untouched,
  },
  {
    outcome: "3. RESERVATION_COMMITTED",
    given: [{ reserve: { a: 2 } }, "commit"],
    ask: "release",
    answer: ["RESERVATION_COMMITTED", "it is COMMITTED"],
    levels: [
      [8, 0],
      [5, 0],
    ],
  },
  {
    outcome: "4. OK: RELEASED, and its units are free",
    given: [{ reserve: { a: 2, b: 1 } }],
    ask: "release",
    answer: "RELEASED",
    levels: untouched,
  },
];

const stack = new AsyncDisposableStack();
let client: InventoryClient;
let clock: MovableClock;
let rowsRun = 0;

beforeAll(async () => {
  const warehouse = await emptyWarehouse(stack);
  clock = warehouse.clock;
  client = await warehouse.open({ reservationTtlMs: TTL_MS, sweepIntervalMs: 20 });
});
afterAll(() => stack.disposeAsync());

describe("ReserveStock", () => {
  outcomesOf(reserveStock);
});
describe("CommitReservation", () => {
  outcomesOf(commitReservation);
});
describe("ReleaseReservation", () => {
  outcomesOf(releaseReservation);
});

function outcomesOf(rows: Row[]) {
  test.each(rows)("$outcome", async ({ given = [], ask, answer, levels }) => {
    const id = newId("rsv");
    // products of its own, so that rows do not meet
    const row = `row${++rowsRun}`;
    await stockUp(client, { [`${row}a`]: 10, [`${row}b`]: 5 });
    for (const step of given) await take(step, row, id);
    expect(await take(ask, row, id)).toEqual(answer);
    if (levels) expect(await levelsOf(client, [`${row}a`, `${row}b`])).toEqual(levels);
  });
}

/** Takes one step; returns the reservation's state, or what went wrong in the words of the row. */
async function take(step: Step, row: string, reservationId: string): Promise<unknown> {
  try {
    switch (step) {
      case "time passes":
        return clock.advance(TTL_MS);
      case "sweep":
        return await expect
          .poll(() => levelsOf(client, [`${row}a`]), { interval: 5 })
          .toEqual([[10, 0]]);
      case "10 units of a come in":
        return await stockUp(client, { [`${row}a`]: 10 });
      case "z comes in":
        return await stockUp(client, { [`${row}z`]: 1 });
      case "commit":
        return stateOf(await client.commitReservation({ reservationId }));
      case "release":
        return stateOf(await client.releaseReservation({ reservationId }));
      default: {
        const lines = Object.entries(step.reserve).map(([name, quantity]) => ({
          sku: row + name,
          quantity: BigInt(quantity),
        }));
        const before = clock.now();
        const { reservation } = await client.reserveStock({ reservationId, lines });
        if (reservation?.state === ReservationState.HELD && reservation.expireTime)
          expect(timestampDate(reservation.expireTime)).toEqual(
            new Date(before.getTime() + TTL_MS),
          );
        return stateOf({ reservation });
      }
    }
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return [reasonOf(error)?.reason, ...detailsOf(error).map((text) => text.replaceAll(row, ""))];
  }
}

function stateOf({ reservation }: { reservation?: Reservation }) {
  return ReservationState[reservation?.state ?? 0];
}

function detailsOf(error: ConnectError): string[] {
  return [
    ...(findDetail(error, BadRequestSchema)?.fieldViolations ?? []).map(
      ({ field, description }) => `${field}: ${description}`,
    ),
    ...(findDetail(error, PreconditionFailureSchema)?.violations ?? []).map(
      ({ type, subject, description }) =>
        type === "STOCK" ? `${subject}: ${description}` : description,
    ),
    ...[findDetail(error, ResourceInfoSchema)?.resourceType ?? []].flat(),
  ];
}
