import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ImportRejectionReason,
  type ImportStockRequestSchema,
  StockChangeCause,
  StockChangedSchema,
} from "@emporium/contracts/inventory/v1";
import { reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { levelsOf, price, stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

type Entry = NonNullable<MessageInitShape<typeof ImportStockRequestSchema>["entry"]>;

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let client: InventoryClient;
let replica: InventoryClient;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  client = await warehouse.open();
  replica = await warehouse.open();
});
afterAll(() => stack.disposeAsync());

const product = (sku: string, fields: object = {}): Entry => ({
  case: "product",
  value: { sku, title: `The ${sku}`, unitPrice: price, ...fields },
});
const adjustment = (sku: string, delta: number): Entry => ({
  case: "adjustment",
  value: { sku, delta: BigInt(delta) },
});

async function* messages(importId: string, entries: Iterable<Entry>) {
  for (const entry of entries) yield { importId, entry };
}

function importAll(entries: Iterable<Entry>, importId = newId("imp"), through = client) {
  return through.importStock(messages(importId, entries));
}

test("an import without entries is answered with nothing received", async () => {
  expect(await importAll([])).toMatchObject({ received: 0n, applied: 0n, rejected: 0n });
});

test("entries are applied in their order, also several of one product", async () => {
  const answer = await importAll([
    product("o1", { title: "First" }),
    adjustment("o1", 5),
    adjustment("o1", -2),
    product("o1", { title: "Second" }),
    adjustment("o1", 4),
  ]);
  expect(answer).toMatchObject({ received: 5n, applied: 5n, rejected: 0n });
  expect(await client.getProduct({ sku: "o1" })).toMatchObject({
    product: { title: "Second" },
    level: { onHand: 7n, revision: 3n },
  });
});

test("an entry that cannot be applied is left out and reported with its place and reason", async () => {
  await stockUp(client, { r1: 5 });
  const lines = [{ sku: "r1", quantity: 3n }];
  await client.reserveStock({ reservationId: newId("rsv"), lines });
  const answer = await importAll([
    adjustment("r2", 1), // before the product is there
    product("r2"),
    adjustment("r2", 1),
    adjustment("r1", -3),
    adjustment("r1", -2),
    adjustment("r2", -2),
    product("r3", { unitPrice: { ...price, currencyCode: "EUR" } }),
    product("r3", { title: "" }),
    product("r3", { unitPrice: undefined }),
    adjustment("r3", 1),
  ]);
  expect(answer).toMatchObject({ received: 10n, applied: 3n, rejected: 7n });
  const reasons = answer.rejections.map(({ index, sku, reason }) => [
    Number(index),
    sku,
    ImportRejectionReason[reason],
  ]);
  expect(reasons).toEqual([
    [0, "r2", "PRODUCT_NOT_FOUND"],
    [3, "r1", "BELOW_RESERVED"],
    [5, "r2", "BELOW_RESERVED"],
    [6, "r3", "WRONG_CURRENCY"],
    [7, "r3", "INCOMPLETE_PRODUCT"],
    [8, "r3", "INCOMPLETE_PRODUCT"],
    [9, "r3", "PRODUCT_NOT_FOUND"],
  ]);
  expect(await levelsOf(client, ["r1", "r2"])).toEqual([
    [3, 3],
    [1, 0],
  ]);
});

test("a product that an import names again keeps its update_time where nothing changed", async () => {
  const first = await importAll([product("u1")]).then(() => client.getProduct({ sku: "u1" }));
  await importAll([product("u1"), adjustment("u1", 1)]);
  const second = await client.getProduct({ sku: "u1" });
  expect(second.product?.updateTime).toEqual(first.product?.updateTime);
});

test("5,000 entries go in by chunks, and one event a chunk tells the levels after it", async () => {
  const importId = newId("imp");
  const skus = Array.from({ length: 1000 }, (_, index) => `k${index}`);
  const entries = [
    ...skus.map((sku) => product(sku)),
    ...[1, 2, 3, 4].flatMap((units) => skus.map((sku) => adjustment(sku, units))),
  ];
  const answer = await importAll(entries, importId);
  expect(answer).toMatchObject({ received: 5000n, applied: 5000n, rejected: 0n });
  expect(new Set((await levelsOf(client, skus)).map(String))).toEqual(new Set(["10,0"]));

  const rows = await warehouse.database.query<{ version: bigint; payload: Uint8Array }>(
    undefined,
    "SELECT version, payload FROM outbox WHERE aggregate_id = $1 ORDER BY version",
    [importId],
  );
  expect(rows.map(({ version }) => Number(version))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  const last = fromBinary(StockChangedSchema, rows[7]?.payload ?? new Uint8Array());
  expect(last).toMatchObject({ cause: StockChangeCause.IMPORTED, referenceId: importId });
  expect(last.levels).toHaveLength(500);
  expect(last.levels[0]).toMatchObject({ onHand: 10n, available: 10n, revision: 4n });
});

test("an import that was cut off goes on after what was applied when it is sent again", async () => {
  const importId = newId("imp");
  const entries = [product("c1"), ...Array.from({ length: 1499 }, () => adjustment("c1", 1))];
  const cut = new Error("the scanner fell down");
  async function* cutOff() {
    yield* messages(importId, entries.slice(0, 1200));
    // what came before is applied by now, all but the chunk that is not full
    await expect.poll(() => levelsOf(client, ["c1"]).catch(() => [])).toEqual([[999, 0]]);
    throw cut;
  }
  await expect(client.importStock(cutOff())).rejects.toThrow("the scanner fell down");
  expect(await levelsOf(client, ["c1"])).toEqual([[999, 0]]);
  expect(await importAll(entries, importId)).toMatchObject({ received: 1500n, applied: 1500n });
  expect(await importAll(entries, importId)).toMatchObject({ received: 1500n, applied: 1500n });
  expect(await levelsOf(client, ["c1"])).toEqual([[1499, 0]]);
});

test("the same import sent to two replicas at once is applied once", async () => {
  const importId = newId("imp");
  const entries = [product("d1"), ...Array.from({ length: 1999 }, () => adjustment("d1", 1))];
  const answers = await Promise.all([
    importAll(entries, importId, client),
    importAll(entries, importId, replica),
  ]);
  for (const answer of answers)
    expect(answer).toMatchObject({ received: 2000n, applied: 2000n, rejected: 0n });
  expect(await levelsOf(client, ["d1"])).toEqual([[1999, 0]]);
});

test("no more than the first 100 rejections are reported, over all chunks and calls", async () => {
  const importId = newId("imp");
  const entries = Array.from({ length: 600 }, () => adjustment("none", 1));
  await importAll(entries.slice(0, 90), importId);
  const answer = await importAll(entries, importId);
  expect(answer).toMatchObject({ received: 600n, applied: 0n, rejected: 600n });
  expect(answer.rejections.map(({ index }) => Number(index))).toEqual([...Array(100).keys()]);
});

test("a message with another import id makes the import an invalid request", async () => {
  async function* mixed() {
    yield* messages(newId("imp"), [product("m1")]);
    yield* messages(newId("imp"), [product("m2")]);
  }
  const error = await client.importStock(mixed()).catch((reason: unknown) => reason);
  expect(reasonOf(error)?.reason).toBe("INVALID_REQUEST");
});
