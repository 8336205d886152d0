import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { ShippingAddressSchema } from "@emporium/contracts/orders/v1";
import { DataKeys, reseal, sealedWith, withNewKey } from "@emporium/database";
import { Code } from "@emporium/grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sealedColumns } from "../src/index.js";
import { line, orderRequest } from "./requests.js";
import { type RunningOrders, runOrders } from "./running-orders.js";

const directory = mkdtempSync(join(tmpdir(), "sealed-address-"));
const keyFile = join(directory, "keys.json");
writeFileSync(keyFile, JSON.stringify(withNewKey("first")));

let shop: RunningOrders;
beforeAll(async () => {
  shop = await runOrders({ dataKeys: DataKeys.fromFile(keyFile) });
});
afterAll(async () => {
  await shop?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function rows() {
  return shop.database.query<{ order_id: string; sealed: Buffer | null; plain: Buffer | null }>(
    undefined,
    "SELECT order_id, sealed_address AS sealed, shipping_address AS plain FROM orders",
  );
}

test("a new key takes over while orders are served, and the old one may go", async () => {
  const requests = Array.from({ length: 3 }, () => orderRequest([line("A", 1, 100)]));
  for (const request of requests) await shop.orders.createOrder(request);
  // One from before addresses were sealed, one without an address.
  const [old, bare] = requests;
  const address = toBinary(ShippingAddressSchema, old!.shippingAddress!);
  await shop.database.query(
    undefined,
    "UPDATE orders SET sealed_address = NULL, shipping_address = $2 WHERE order_id = $1",
    [old!.orderId, address],
  );
  await shop.database.query(
    undefined,
    "UPDATE orders SET sealed_address = NULL WHERE order_id = $1",
    [bare!.orderId],
  );

  const file = withNewKey("second", JSON.parse(readFileSync(keyFile, "utf8")) as never);
  writeFileSync(keyFile, JSON.stringify(file));
  const [column] = sealedColumns;
  const run = { url: shop.databaseUrl, column: column!, keys: DataKeys.fromFile(keyFile) };
  expect(await reseal(run)).toBe(2);
  expect(await reseal(run)).toBe(0);
  for (const { order_id, sealed, plain } of await rows()) {
    expect(plain).toBeNull();
    expect(sealed && sealedWith(sealed)).toBe(order_id === bare!.orderId ? null : "second");
  }

  delete file.keys["first"];
  writeFileSync(keyFile, JSON.stringify(file));
  for (const { orderId, shippingAddress } of requests) {
    const { order } = await shop.orders.getOrder({ orderId });
    expect(order?.shippingAddress).toEqual(orderId === bare!.orderId ? undefined : shippingAddress);
  }
});

test("an address that was moved to another order is not shown", async () => {
  const [mine, theirs] = [1, 2].map(() => orderRequest([line("A", 1, 100)]));
  for (const request of [mine!, theirs!]) await shop.orders.createOrder(request);
  await shop.database.query(
    undefined,
    `UPDATE orders SET sealed_address = (SELECT sealed_address FROM orders WHERE order_id = $2)
     WHERE order_id = $1`,
    [mine!.orderId, theirs!.orderId],
  );
  await expect(shop.orders.getOrder({ orderId: mine!.orderId })).rejects.toMatchObject({
    code: Code.Internal,
  });
});
