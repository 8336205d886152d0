import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import { findDetail, reasonOf } from "@emporium/grpc";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { price, stockUp } from "./made-up.js";
import { emptyWarehouse, type InventoryClient, type Warehouse } from "./running-inventory.js";

const stack = new AsyncDisposableStack();
let warehouse: Warehouse;
let client: InventoryClient;

beforeAll(async () => {
  warehouse = await emptyWarehouse(stack);
  client = await warehouse.open();
  await stockUp(client, { B1: 3, A1: 5, "a-small": 0, A2: 0 });
});
afterAll(() => stack.disposeAsync());

/** Reason and fields of the failure that a call ends with. */
async function failureOf(call: Promise<unknown>): Promise<[string?, ...(string | undefined)[]]> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw new Error("The call did not fail", { cause: error });
  const fields = findDetail(error, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
  return [reasonOf(error)?.reason, ...(fields ?? [])];
}

describe("ListProducts", () => {
  test("1. INVALID_PAGE_TOKEN: the token is not one of this method's", async () => {
    expect(await failureOf(client.listProducts({ pageToken: "garbage" }))).toEqual([
      "INVALID_PAGE_TOKEN",
      "page_token",
    ]);
  });

  test("2. OK: every product once, by SKU, page by page, also while products come in", async () => {
    const paged = await emptyWarehouse(stack);
    const other = await paged.open();
    await stockUp(other, { C: 0, A: 0, b: 0, D: 0 });
    const first = await other.listProducts({ pageSize: 2 });
    await stockUp(other, { AA: 0, CC: 0 });
    const second = await other.listProducts({ pageSize: 2, pageToken: first.nextPageToken });
    const last = await other.listProducts({ pageSize: 2, pageToken: second.nextPageToken });
    const skus = [first, second, last].map(({ products }) => products.map(({ sku }) => sku));
    expect(skus).toEqual([["A", "C"], ["CC", "D"], ["b"]]);
    expect(last.nextPageToken).toBe("");
  });

  test("2. OK: a page that ends with the last product is the last page", async () => {
    const { products, nextPageToken } = await client.listProducts({ pageSize: 4 });
    expect(products.map(({ sku }) => sku)).toEqual(["A1", "A2", "B1", "a-small"]);
    expect(nextPageToken).toBe("");
  });

  test("2. OK: an empty catalogue is an empty page", async () => {
    const other = await (await emptyWarehouse(stack)).open();
    expect(await other.listProducts({})).toMatchObject({ products: [], nextPageToken: "" });
  });
});

describe("GetProduct", () => {
  test("1. PRODUCT_NOT_FOUND; case matters", async () => {
    expect(await failureOf(client.getProduct({ sku: "a1" }))).toEqual(["PRODUCT_NOT_FOUND", "sku"]);
  });

  test("2. OK: the product with its level", async () => {
    expect(await client.getProduct({ sku: "A1" })).toMatchObject({
      product: { sku: "A1", title: "The A1", unitPrice: price },
      level: { sku: "A1", onHand: 5n, reserved: 0n, available: 5n, revision: 1n },
    });
  });
});

describe("UpdateProduct", () => {
  const update = (
    product: { sku?: string; title?: string; unitPrice?: typeof price },
    options: { paths?: string[]; allowMissing?: boolean } = {},
  ) =>
    client.updateProduct({
      product: { sku: "B1", ...product },
      updateMask: options.paths && { paths: options.paths },
      allowMissing: options.allowMissing,
    });
  const dollars = { ...price, currencyCode: "USD" };

  test.each(["sku", "create_time", "unit_price.units", "*", "colour"])(
    "1. INVALID_UPDATE_MASK: %s, before anything else",
    async (path) => {
      const call = update({ sku: "none", unitPrice: dollars }, { paths: ["title", path] });
      expect(await failureOf(call)).toEqual(["INVALID_UPDATE_MASK", "update_mask"]);
    },
  );

  test("2. WRONG_CURRENCY comes before PRODUCT_NOT_FOUND", async () => {
    expect(await failureOf(update({ sku: "none", unitPrice: dollars }))).toEqual([
      "WRONG_CURRENCY",
      "product.unit_price",
    ]);
  });

  test("3. PRODUCT_NOT_FOUND, unless allow_missing", async () => {
    expect(await failureOf(update({ sku: "none", title: "x" }))).toEqual([
      "PRODUCT_NOT_FOUND",
      "product.sku",
    ]);
  });

  test("4. OK: allow_missing creates with all that was given and a level of zero", async () => {
    const paths = ["title"];
    const change = { sku: "NEW", title: "New", unitPrice: price };
    await update(change, { paths, allowMissing: true });
    expect(await client.getProduct({ sku: "NEW" })).toMatchObject({
      product: change,
      level: { onHand: 0n, reserved: 0n, revision: 0n },
    });
  });

  test("4. OK: changes what the mask names and nothing else", async () => {
    const paths = ["title"];
    const { product } = await update(
      { title: "Named", unitPrice: { ...price, units: 9n } },
      { paths },
    );
    expect(product).toMatchObject({ title: "Named", unitPrice: price });
  });

  test("4. OK: without a mask changes what is set", async () => {
    const dearer = { ...price, units: 3n };
    await update({ title: "Set" });
    expect((await update({ unitPrice: dearer })).product).toMatchObject({
      title: "Set",
      unitPrice: dearer,
    });
  });

  test("4. OK: a field that the mask names and the product leaves unset is emptied", async () => {
    const { product } = await update({}, { paths: ["title", "unit_price"] });
    expect([product?.title, product?.unitPrice]).toEqual(["", undefined]);
  });

  test("4. OK: update_time moves with a change, and stays where nothing changes", async () => {
    const first = await update({ title: "Moved", unitPrice: price });
    warehouse.clock.advance(1000);
    const same = await update({ title: "Moved", unitPrice: price });
    expect(same.product?.updateTime).toEqual(first.product?.updateTime);
    const other = await update({ title: "Moved on" });
    expect(other.product?.updateTime && timestampDate(other.product.updateTime)).toEqual(
      warehouse.clock.now(),
    );
    expect(other.product?.createTime).toEqual(first.product?.createTime);
  });

  test("a title that cannot be stored is an invalid request, not a breakdown", async () => {
    expect(await failureOf(update({ title: "a\0b" }))).toEqual([
      "INVALID_REQUEST",
      "product.title",
    ]);
  });
});

describe("CheckStock", () => {
  test("1. PRODUCT_NOT_FOUND: one violation for each SKU that does not exist", async () => {
    expect(await failureOf(client.checkStock({ skus: ["x", "A1", "y"] }))).toEqual([
      "PRODUCT_NOT_FOUND",
      "skus[0]",
      "skus[2]",
    ]);
  });

  test("1. PRODUCT_NOT_FOUND lists no more SKUs than a trailer takes, and says how many there are", async () => {
    const skus = Array.from({ length: 1000 }, (_, index) => `${"x".repeat(28)}${index}`);
    const error = await client.checkStock({ skus }).catch((reason: unknown) => reason);
    expect(reasonOf(error)?.reason).toBe("PRODUCT_NOT_FOUND");
    expect(error).toMatchObject({ rawMessage: "1000 products do not exist" });
    expect(findDetail(error, BadRequestSchema)?.fieldViolations).toHaveLength(50);
  });

  test("2. OK: in the order asked, a SKU asked twice twice", async () => {
    await client.reserveStock({
      reservationId: newId("rsv"),
      lines: [{ sku: "A1", quantity: 2n }],
    });
    const { items } = await client.checkStock({ skus: ["B1", "A1", "B1"] });
    expect(items.map(({ level }) => [level?.sku, level?.available])).toEqual([
      ["B1", 3n],
      ["A1", 3n],
      ["B1", 3n],
    ]);
  });
});
