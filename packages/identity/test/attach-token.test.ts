import { OrderService } from "@emporium/contracts/orders/v2";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { createGrpcClient, type Interceptor, outliveCall } from "@emporium/grpc";
import { handlers, movableEngineClock, startTestServer } from "@emporium/grpc/testing";
import { testInfrastructure } from "@emporium/local/test";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  attachToken,
  contractAccess,
  currentCaller,
  OwnTokens,
  TokenVerifier,
} from "../src/index.js";
import { signerOf } from "./signing.js";

/** Orders calls inventory: whom inventory sees. */
const { by, issuer, oidc, tls } = await testInfrastructure();
const stack = new AsyncDisposableStack();
const clock = movableEngineClock();
const request = {
  orderId: "ord_01jd000000000000000000000a",
  checkoutId: "chk_01jd000000000000000000000a",
};

let ask: (interceptor: Interceptor) => Promise<unknown>;
let askLater: (interceptor: Interceptor) => Promise<unknown>;
let alone: () => Promise<unknown>;
const seen: string[] = [];

beforeAll(async () => {
  const verifier = stack.use(new TokenVerifier({ issuer: issuer.url, audience: "emporium" }));
  const access = contractAccess({ verifier });
  const inventoryServer = stack.use(
    await startTestServer(
      { tls: await tls("inventory"), interceptors: [access] },
      handlers(InventoryService, {
        checkStock() {
          const { service, token } = currentCaller()!;
          seen.push(`${service} for ${token.subject}, ${[...token.scopes].join(" ")}`);
          return {};
        },
      }),
    ),
  );
  const own = new OwnTokens({ ...oidc("orders"), clientId: "orders" });
  const inventory = stack.use(
    inventoryServer.client(InventoryService, {
      tls: { source: await tls("orders"), server: "inventory" },
      interceptors: [attachToken(own, clock)],
    }),
  );
  alone = () => inventory.checkStock({ skus: ["TEA"] });
  const ordersServer = stack.use(
    await startTestServer(
      { tls: await tls("orders"), interceptors: [access] },
      handlers(OrderService, {
        async createOrder() {
          await alone();
          return {};
        },
        async *exportOrders() {
          await outliveCall(alone);
        },
      }),
    ),
  );
  const options = { tls: { source: await tls("checkout"), server: "orders" } };
  const address = `dns:///${ordersServer.address}`;
  const call = (interceptor: Interceptor) =>
    stack.use(createGrpcClient(OrderService, { ...options, address, interceptors: [interceptor] }));
  const line = {
    sku: "TEA",
    title: "TEA",
    quantity: 1n,
    unitPrice: { currencyCode: "GBP", units: 1n },
  };
  ask = (interceptor) => call(interceptor).createOrder({ ...request, lines: [line] });
  askLater = (interceptor) => Array.fromAsync(call(interceptor).exportOrders({}));
});
afterAll(() => stack.disposeAsync());

async function whomInventorySees(call: () => Promise<unknown>): Promise<string[]> {
  seen.length = 0;
  await call();
  // A hedged call may come twice.
  return [...new Set(seen)];
}

test("a call is made for whom it serves, by the service that makes it", async () => {
  expect(await whomInventorySees(() => ask(by("ada")))).toEqual([
    "orders for 17850, catalogue.read checkout.read checkout.write orders.read orders.write",
  ]);
});

test("also work that outlives the call is done for its caller", async () => {
  const [whom] = await whomInventorySees(() => askLater(by("support")));
  expect(whom).toMatch(/^orders for support, /);
});

test("work for nobody has a token of the service's own, with the scopes of the method alone", async () => {
  expect(await whomInventorySees(alone)).toEqual(["orders for orders, catalogue.read"]);
});

test("a token that is about to expire is not relied on", async () => {
  const signer = await signerOf({ issuer });
  const claims = { scope: "checkout.write catalogue.read" };
  const bearing = async (seconds: number): Promise<Interceptor> => {
    const exp = Math.floor(clock.now() / 1000) + seconds;
    const jwt = await signer.sign({ claims: { ...claims, exp } });
    return (next) => (request) => {
      request.header.set("authorization", `Bearer ${jwt}`);
      return next(request);
    };
  };
  const [long, short] = [await bearing(60), await bearing(9)];
  expect(await whomInventorySees(() => ask(long))).toEqual([
    "orders for 17850, checkout.write catalogue.read",
  ]);
  expect(await whomInventorySees(() => ask(short))).toEqual(["orders for orders, catalogue.read"]);
});

test("a scope that the caller's token lacks is not lent to it", async () => {
  const signer = await signerOf({ issuer });
  const jwt = await signer.sign({ claims: { scope: "checkout.write" } });
  const bearing: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${jwt}`);
    return next(request);
  };
  await expect(ask(bearing)).rejects.toThrow("lacks the scope catalogue.read");
});
