import { fromBinary } from "@bufbuild/protobuf";
import {
  CountOutcome,
  StockChangeCause,
  StockChangedSchema,
} from "@emporium/contracts/inventory/v1";
import { reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { levelsOf, stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let client: InventoryClient;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  client = await warehouse.open();
});
afterAll(() => stack.disposeAsync());

/** Counts one after the other in one session: the next is sent when the last is answered. */
async function count(counts: [sku: string, counted: number][]) {
  const answers: [number, number, string][] = [];
  let answered = Promise.withResolvers<void>();
  async function* scanner() {
    for (const [sku, counted] of counts) {
      yield { sku, counted: BigInt(counted) };
      await answered.promise;
    }
  }
  for await (const { expected, discrepancy, outcome } of client.countStock(scanner())) {
    answers.push([Number(expected), Number(discrepancy), CountOutcome[outcome] ?? ""]);
    answered.resolve();
    answered = Promise.withResolvers<void>();
  }
  return answers;
}

test("a count is answered with what the books say and what follows", async () => {
  await stockUp(client, { n1: 8, n2: 4 });
  const answers = await count([
    ["n1", 8],
    ["n2", 5],
    ["n1", 7],
    ["n2", 5],
    ["n1", 6],
    ["n2", 5],
  ]);
  expect(answers).toEqual([
    [8, 0, "MATCHED"],
    [4, 1, "RECOUNT"],
    [8, -1, "RECOUNT"],
    [4, 1, "CORRECTED"],
    [8, -2, "RECOUNT"],
    [5, 0, "MATCHED"],
  ]);
  expect(await levelsOf(client, ["n1", "n2"])).toEqual([
    [8, 0],
    [5, 0],
  ]);
});

test("a confirmed count below what is promised leaves the books as they are", async () => {
  await stockUp(client, { p1: 8 });
  const lines = [{ sku: "p1", quantity: 5n }];
  await client.reserveStock({ reservationId: newId("rsv"), lines });
  const answers = await count([
    ["p1", 4],
    ["p1", 4],
  ]);
  expect(answers.map(([, , outcome]) => outcome)).toEqual(["RECOUNT", "BELOW_RESERVED"]);
  expect(await levelsOf(client, ["p1"])).toEqual([[8, 5]]);
});

test("a product that does not exist ends the session; what was answered before stays", async () => {
  await stockUp(client, { e1: 8 });
  const error = await count([
    ["e1", 7],
    ["e1", 7],
    ["none", 1],
    ["e1", 8],
  ]).catch((reason: unknown) => reason);
  expect(reasonOf(error)?.reason).toBe("PRODUCT_NOT_FOUND");
  expect(await levelsOf(client, ["e1"])).toEqual([[7, 0]]);
});

test("each correction of a session is an event of its own", async () => {
  await stockUp(client, { v1: 8, v2: 8 });
  await warehouse.database.query(undefined, "DELETE FROM outbox");
  await count([
    ["v1", 7],
    ["v1", 7],
    ["v2", 9],
    ["v2", 9],
  ]);
  const rows = await warehouse.database.query<{ version: bigint; payload: Uint8Array }>(
    undefined,
    "SELECT version, payload FROM outbox ORDER BY version",
  );
  const events = rows.map(({ payload }) => fromBinary(StockChangedSchema, payload));
  expect(rows.map(({ version }) => Number(version))).toEqual([1, 2]);
  expect(new Set(events.map(({ referenceId }) => referenceId)).size).toBe(1);
  expect(events).toMatchObject([
    { cause: StockChangeCause.COUNTED, levels: [{ sku: "v1", onHand: 7n }] },
    { cause: StockChangeCause.COUNTED, levels: [{ sku: "v2", onHand: 9n }] },
  ]);
});
