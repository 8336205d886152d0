import {
  create,
  type DescField,
  type DescMessage,
  type FileRegistry,
  fromJson,
  type MessageShape,
  ScalarType,
  toJson,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage, type ScalarValue } from "@bufbuild/protobuf/reflect";
import { CheckoutService, ShopSessionResponseSchema } from "@emporium/contracts/checkout/v1";
import { ServerReflection } from "@emporium/contracts/grpc/reflection/v1";
import {
  InventoryService,
  type Product,
  ProductSchema,
  type StockItem,
} from "@emporium/contracts/inventory/v1";
import { OrderSchema, OrderService, OrderState } from "@emporium/contracts/orders/v1";
import { Code, ConnectError, type GrpcClient } from "@emporium/grpc";
import { handlers, startTestServer } from "@emporium/grpc/testing";
import { newId } from "@emporium/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { messageOf, passOn, serviceOf, tomorrow } from "./image-types.ts";
import { releases } from "./releases.ts";

/** Servers and clients whose contracts are one or two versions apart, over real connections. */
let next: FileRegistry;

beforeAll(async () => {
  next = await tomorrow();
});

const isOurs = ({ typeName }: { typeName: string }) => typeName.startsWith("emporium.");

describe.each(releases())("$version and its successor", ({ image }) => {
  /** Products as messages, as a cache or a queue would keep them. */
  function productServer(contract: FileRegistry) {
    const products = new Map<string, Product>();
    return handlers(serviceOf(contract, InventoryService), {
      updateProduct({ product, updateMask }) {
        const { sku, title } = product!;
        const before = products.get(sku);
        const after = before && updateMask ? { ...before, title: title.trim() } : product!;
        products.set(sku, after);
        return { product: after };
      },
      getProduct: ({ sku }) => ({ product: products.get(sku) }),
    });
  }

  test("a server that keeps messages keeps the fields that it does not know", async () => {
    await using old = await startTestServer({}, productServer(image));
    const client = old.client(serviceOf(next, InventoryService));
    const Newer = messageOf(next, ProductSchema);
    await client.updateProduct({ product: fromJson(Newer, { sku: "A1", originCountry: "NO" }) });
    const update = { product: { sku: "A1", title: " LANTERN " }, updateMask: { paths: ["title"] } };
    await client.updateProduct(update);
    const { product } = await client.getProduct({ sku: "A1" });
    expect(toJson(Newer, product!)).toEqual({
      sku: "A1",
      title: "LANTERN",
      originCountry: "NO",
    });
  });

  test("a client that changes what it read sends back the fields that it does not know", async () => {
    await using newer = await startTestServer({}, productServer(next));
    const Newer = messageOf(next, ProductSchema);
    const newClient = newer.client(serviceOf(next, InventoryService));
    await newClient.updateProduct({ product: fromJson(Newer, { sku: "A1", originCountry: "NO" }) });
    const oldClient = newer.client(serviceOf(image, InventoryService));
    const read = await oldClient.getProduct({ sku: "A1" });
    read.product!.title = "LANTERN";
    const product = read.product!;
    await oldClient.updateProduct({ product });
    const { product: kept } = await newClient.getProduct({ sku: "A1" });
    expect(toJson(Newer, kept!)).toEqual({ sku: "A1", title: "LANTERN", originCountry: "NO" });
  });

  test("a field that an older server does not send has its default", async () => {
    await using old = await startTestServer({}, productServer(image));
    const client = old.client(serviceOf(next, InventoryService));
    await client.updateProduct({ product: { sku: "A1" } });
    const { product } = await client.getProduct({ sku: "A1" });
    expect(product).toMatchObject({ title: "", originCountry: "" });
    expect(product?.unitPrice).toBeUndefined();
  });

  test("a new value of an enum is a number to an older client, and stays what it is", async () => {
    const order = fromJson(messageOf(next, OrderSchema), { state: "ORDER_STATE_SHIPPED" });
    await using newer = await startTestServer(
      {},
      handlers(serviceOf(next, OrderService), { getOrder: () => ({ order }) }),
    );
    const client = newer.client(serviceOf(image, OrderService));
    const { order: read } = await client.getOrder({ orderId: newId("ord") });
    expect(OrderState[read!.state]).toBeUndefined();
    expect(toJson(messageOf(image, OrderSchema), read!)).toEqual({ state: 100 });
    const passed = passOn(read!, messageOf(image, OrderSchema), messageOf(next, OrderSchema));
    expect(passed).toEqual(order);
  });

  test("a new member of a oneof is nothing to an older reader, and stays what it is", async () => {
    const Newer = messageOf(next, ShopSessionResponseSchema);
    const closing = fromJson(Newer, { closing: "2026-12-24T16:00:00Z" });
    await using newer = await startTestServer(
      {},
      handlers(serviceOf(next, CheckoutService), {
        async *shopSession() {
          yield closing;
          yield create(Newer, { update: { case: "cart", value: { available: true } } });
        },
      }),
    );
    const client = newer.client(serviceOf(image, CheckoutService));
    const heard = await Array.fromAsync(client.shopSession((async function* () {})()));
    expect(heard.map(({ update }) => update.case)).toEqual([undefined, "cart"]);
    const Older = messageOf(image, ShopSessionResponseSchema);
    expect(passOn(heard[0]!, Older, Newer)).toEqual(closing);
  });

  type Batching = GrpcClient<typeof InventoryService> & {
    batchGetProducts(request: { skus: string[] }): Promise<{ items: StockItem[] }>;
  };

  /** Several products: in one call where the server has it, one by one where it is older. */
  async function titles(client: Batching, skus: string[]): Promise<string[]> {
    try {
      const { items } = await client.batchGetProducts({ skus });
      return items.map(({ product }) => `${product?.title} at once`);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
      const found = await Promise.all(skus.map((sku) => client.getProduct({ sku })));
      return found.map(({ product }) => `${product?.title} by itself`);
    }
  }

  test("a client does without an RPC that an older server has not", async () => {
    const service = serviceOf(next, InventoryService);
    const getProduct = ({ sku }: { sku: string }) => ({ product: { title: sku } });
    const batchGetProducts = ({ skus }: { skus: string[] }) => ({
      items: skus.map((title) => ({ product: { title } })),
    });
    const newHandlers: object = { getProduct, batchGetProducts };
    await using old = await startTestServer(
      {},
      handlers(serviceOf(image, InventoryService), { getProduct }),
    );
    await using newer = await startTestServer({}, handlers(service, newHandlers));
    const [toOld, toNewer] = [old.client(service) as Batching, newer.client(service) as Batching];
    const call = toOld.batchGetProducts({ skus: ["A1"] });
    await expect(call).rejects.toMatchObject({ code: Code.Unimplemented });
    expect(await titles(toOld, ["A1", "B2"])).toEqual(["A1 by itself", "B2 by itself"]);
    expect(await titles(toNewer, ["A1", "B2"])).toEqual(["A1 at once", "B2 at once"]);
  });

  test("a client can ask by reflection what a server has, before it calls", async () => {
    const symbol = "emporium.inventory.v1.InventoryService.BatchGetProducts";
    const asks = async (contract: FileRegistry) => {
      await using server = await startTestServer({}, productServer(contract));
      const answers = server.client(ServerReflection).serverReflectionInfo(
        (async function* () {
          const value = symbol;
          yield { messageRequest: { case: "fileContainingSymbol" as const, value } };
        })(),
      );
      const [answer] = await Array.fromAsync(answers);
      return answer?.messageResponse.case;
    };
    expect(await asks(image)).toBe("errorResponse");
    expect(await asks(next)).toBe("fileDescriptorResponse");
  });

  test("today's client calls a server of this version in all four kinds", async () => {
    const order = { orderId: newId("ord"), state: OrderState.PLACED };
    await using old = await startTestServer(
      {},
      handlers(serviceOf(image, OrderService), {
        getOrder: ({ orderId }) => ({ order: { ...order, orderId } }),
        async *watchOrder({ orderId }) {
          yield { order: { ...order, orderId }, resumeToken: "1" };
          yield { order: { orderId, state: OrderState.CANCELLED }, resumeToken: "2" };
        },
      }),
      handlers(serviceOf(image, InventoryService), {
        importStock: async (entries) => ({
          received: BigInt((await Array.fromAsync(entries)).length),
        }),
      }),
      handlers(serviceOf(image, CheckoutService), {
        async *shopSession(actions) {
          for await (const { action } of actions)
            yield { update: { case: "rejection", value: { message: action.case ?? "nothing" } } };
        },
      }),
    );
    const orders = old.client(OrderService);
    const { orderId } = order;
    expect((await orders.getOrder({ orderId })).order).toMatchObject(order);
    const seen = await Array.fromAsync(orders.watchOrder({ orderId }));
    expect(seen.map(({ resumeToken }) => resumeToken)).toEqual(["1", "2"]);
    const importId = newId("imp");
    const { received } = await old.client(InventoryService).importStock(
      (async function* () {
        for (const delta of [1n, 2n])
          yield { importId, entry: { case: "adjustment" as const, value: { sku: "A1", delta } } };
      })(),
    );
    expect(received).toBe(2n);
    const visit = old.client(CheckoutService).shopSession(
      (async function* () {
        yield { action: { case: "start" as const, value: {} } };
      })(),
    );
    const [heard] = await Array.fromAsync(visit);
    expect(heard?.update).toMatchObject({ case: "rejection", value: { message: "start" } });
  });

  test("every field of every message means the same in the next contract", () => {
    const messages = [...image].filter((type) => type.kind === "message").filter(isOurs);
    expect(messages.length).toBeGreaterThan(50);
    for (const old of messages) {
      for (const message of eachFieldSet(old)) {
        const newer = messageOf(next, old);
        expect(toJson(newer, passOn(message, old, newer))).toEqual(toJson(old, message));
      }
    }
  });
});

/** For each field a message that has only that one. */
function eachFieldSet<Desc extends DescMessage>(desc: Desc): MessageShape<Desc>[] {
  return desc.fields.map((field) => {
    const message = reflect(desc);
    setField(message, field);
    return message.message as MessageShape<Desc>;
  });
}

function setField(message: ReflectMessage, field: DescField): void {
  if (field.fieldKind === "list") message.get(field).add(sampleOf(field.listKind, field));
  else if (field.fieldKind === "map") throw new Error(`${field.name}: the contract has no maps`);
  else message.set(field, sampleOf(field.fieldKind, field));
}

function sampleOf(
  kind: "scalar" | "enum" | "message",
  { scalar, enum: enumeration, message }: DescField,
): ScalarValue | ReflectMessage {
  if (kind === "enum") return enumeration!.values.at(-1)!.number;
  if (kind === "scalar") return SAMPLES[scalar!] ?? 7;
  const inner = reflect(message!);
  for (const field of message!.fields) if (!field.message) setField(inner, field);
  return inner;
}

/** Values that are no default; 7 for all other numbers. */
const SAMPLES: Partial<Record<ScalarType, ScalarValue>> = {
  [ScalarType.STRING]: "a",
  [ScalarType.BYTES]: Uint8Array.of(1),
  [ScalarType.BOOL]: true,
  [ScalarType.INT64]: 7n,
  [ScalarType.UINT64]: 7n,
  [ScalarType.SINT64]: 7n,
  [ScalarType.FIXED64]: 7n,
  [ScalarType.SFIXED64]: 7n,
};
