import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { BadRequestSchema, ErrorInfoSchema } from "@emporium/contracts/google/rpc";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { ConnectError } from "@emporium/grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openGateway, type TestGateway } from "./open-gateway.js";

let gateway: TestGateway;
let withToken: Interceptor;

beforeAll(async () => {
  gateway = await openGateway();
  withToken = gateway.tokens.of("ada");
});
afterAll(async () => gateway?.[Symbol.asyncDispose]());

/** Aborts when it goes out of scope. */
class Leaving extends AbortController implements Disposable {
  [Symbol.dispose]() {
    this.abort();
  }
}

const transports = [
  ["Connect with JSON", createConnectTransport, false],
  ["Connect with binary messages", createConnectTransport, true],
  ["gRPC-Web with JSON", createGrpcWebTransport, false],
  ["gRPC-Web with binary messages", createGrpcWebTransport, true],
] as const;

describe.each(transports)("%s", (_, createTransport, useBinaryFormat) => {
  const inventory = (interceptors: Interceptor[] = [withToken]) =>
    createClient(
      InventoryService,
      createTransport({ baseUrl: gateway.url, useBinaryFormat, interceptors }),
    );

  test("a unary call returns what the service returns", async () => {
    const { product } = await inventory().getProduct({ sku: "MUG" });
    expect(product).toMatchObject({ sku: "MUG", title: "A mug" });
  });

  test("an error keeps its code, its message and its details", async () => {
    const error = await inventory()
      .getProduct({ sku: "NOTHING" })
      .catch((caught: unknown) => ConnectError.from(caught));
    expect(error).toMatchObject({ code: Code.NotFound });
    expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "PRODUCT_NOT_FOUND" },
    ]);
  });

  test("a request that breaks a rule of the contract names the field", async () => {
    const error = await inventory()
      .getProduct({ sku: "" })
      .catch((caught: unknown) => ConnectError.from(caught));
    expect((error as ConnectError).findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject(
      [{ field: "sku" }],
    );
  });

  test("a call without a token is refused by the service", async () => {
    await expect(inventory([]).getProduct({ sku: "MUG" })).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
  });

  test("a server stream delivers each message when it is sent, and ends when its reader leaves", async () => {
    using leaving = new Leaving();
    const stream = inventory().watchStock({ skus: ["MUG"] }, { signal: leaving.signal });
    const first = await stream[Symbol.asyncIterator]().next();
    expect(first.value).toMatchObject({ levels: [{ sku: "MUG" }], caughtUp: true });
  });

  test("the deadline of the client ends the call at the service", async () => {
    const stream = inventory().watchStock({ skus: ["MUG"] }, { timeoutMs: 300 });
    await expect(Array.fromAsync(stream)).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  });

  test("a method that only another service may call is not there", async () => {
    const call = inventory().commitReservation({
      reservationId: "res_01h455vb4pex5vsknk084sn02q",
    });
    await expect(call).rejects.toMatchObject({ code: Code.Unimplemented });
  });

  test("a client that leaves ends the call at the service", async () => {
    const leaving = new AbortController();
    const client = createClient(
      CheckoutService,
      createTransport({ baseUrl: gateway.url, useBinaryFormat, interceptors: [withToken] }),
    );
    const missing = client.getCheckout(
      { checkoutId: "chk_01h455vb4pex5vsknk084sn02q" },
      { signal: leaving.signal },
    );
    leaving.abort();
    await expect(missing).rejects.toMatchObject({ code: Code.Canceled });
  });
});
