import { OrderService } from "@emporium/contracts/orders/v2";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import {
  createGrpcClient,
  type GrpcClient,
  type Interceptor,
  reasonOf,
  type ServiceImpl,
} from "@emporium/grpc";
import { handlers, movableEngineClock, startTestServer } from "@emporium/grpc/testing";
import { testInfrastructure } from "@emporium/local/test";
import type { DescService } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TrialService } from "../../grpc/test/generated/trial/v1/trial_pb.js";
import {
  contractAccess,
  currentCaller,
  IssuerAway,
  requireOwner,
  TokenVerifier,
} from "../src/index.js";
import { PublishedKeys } from "./published-keys.js";
import { signerOf } from "./signing.js";

/** The contract's access policy on a server, for handlers that a test gives. */
const { by, issuer, tls } = await testInfrastructure();
const stack = new AsyncDisposableStack();
const clock = movableEngineClock();
let verifier: TokenVerifier;

beforeAll(async () => {
  verifier = stack.use(new TokenVerifier({ issuer: issuer.url, audience: "emporium", clock }));
  await verifier.ready();
});
afterAll(() => stack.disposeAsync());

const ADA = "17850";
const order = (customerId: string) => ({ order: { orderId: "ord_1", customerId } });

/** A server of the orders' certificate that lives as long as its test. */
async function serve<Service extends DescService>(
  scope: AsyncDisposableStack,
  service: Service,
  implementation: Partial<ServiceImpl<Service>>,
) {
  const server = scope.use(
    await startTestServer(
      {
        tls: await tls("orders"),
        interceptors: [contractAccess({ verifier, clock })],
        log: { error: () => undefined },
      },
      handlers(service, implementation),
    ),
  );
  return async (as: string, ...interceptors: Interceptor[]): Promise<GrpcClient<Service>> =>
    scope.use(
      createGrpcClient(service, {
        address: `dns:///${server.address}`,
        tls: { source: await tls(as), server: "orders" },
        interceptors,
      }),
    );
}

const bearing =
  (jwt: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("authorization", `Bearer ${jwt}`);
    return next(request);
  };

async function outcome(call: Promise<unknown> | AsyncIterable<unknown>): Promise<string> {
  try {
    if (Symbol.asyncIterator in call) await Array.fromAsync(call);
    else await call;
    return "OK";
  } catch (error) {
    return reasonOf(error)?.reason ?? String(error);
  }
}

const request = { orderId: "ord_01jd000000000000000000000a" };

test("a handler knows for whom the call is and which program made it", async () => {
  await using scope = new AsyncDisposableStack();
  const seen: unknown[] = [];
  const client = await serve(scope, OrderService, {
    getOrder() {
      const caller = currentCaller();
      seen.push([caller?.service, caller?.token.subject]);
      requireOwner(ADA);
      return order(ADA);
    },
  });
  const orders = await client("gateway", by("ada"));
  await orders.getOrder(request);
  expect(seen).toEqual([["gateway", ADA]]);
  expect(currentCaller()).toBeUndefined();
});

describe("what belongs to a customer", () => {
  const whose = async (scope: AsyncDisposableStack, customerId: string) => {
    const client = await serve(scope, OrderService, {
      getOrder() {
        requireOwner(customerId);
        return order(customerId);
      },
      async *watchOrder() {
        requireOwner(customerId);
        yield order(customerId);
      },
      cancelOrder() {
        requireOwner(customerId);
        return order(customerId);
      },
    });
    return async (as: string, principal: Parameters<typeof by>[0]) => {
      const orders = await client(as, by(principal));
      return [
        await outcome(orders.getOrder(request)),
        await outcome(orders.watchOrder(request)),
        await outcome(orders.cancelOrder({ ...request, reason: 1 })),
      ];
    };
  };

  test("is for the customer and for support", async () => {
    await using scope = new AsyncDisposableStack();
    const asked = await whose(scope, ADA);
    expect(await asked("gateway", "ada")).toEqual(["OK", "OK", "OK"]);
    expect(await asked("gateway", "support")).toEqual(["OK", "OK", "OK"]);
    expect(await asked("gateway", "grace")).toEqual(["FORBIDDEN", "FORBIDDEN", "FORBIDDEN"]);
  });

  test("is for nobody but support where it is a guest's", async () => {
    await using scope = new AsyncDisposableStack();
    const asked = await whose(scope, "");
    expect(await asked("gateway", "ada")).toEqual(["FORBIDDEN", "FORBIDDEN", "FORBIDDEN"]);
    expect(await asked("gateway", "support")).toEqual(["OK", "OK", "OK"]);
  });

  test("may be finished by a delegate with its own token and certificate, where the contract says so", async () => {
    await using scope = new AsyncDisposableStack();
    const asked = await whose(scope, ADA);
    // Its token lacks the scope that reads; CancelOrder names it.
    expect(await asked("checkout", "checkout")).toEqual(["FORBIDDEN", "FORBIDDEN", "OK"]);
    expect(await asked("orders", "checkout")).toEqual(["FORBIDDEN", "FORBIDDEN", "FORBIDDEN"]);
    expect(await asked("checkout", "grace")).toEqual(["FORBIDDEN", "FORBIDDEN", "FORBIDDEN"]);
  });

  test("is not a program's of the same name", async () => {
    await using scope = new AsyncDisposableStack();
    const client = await serve(scope, OrderService, {
      getOrder() {
        requireOwner("replay-1");
        return order("replay-1");
      },
    });
    const signer = await signerOf({ issuer });
    const token = (client_id: string) => signer.sign({ claims: { sub: "replay-1", client_id } });
    const ask = async (jwt: string) =>
      outcome((await client("gateway", bearing(jwt))).getOrder(request));
    expect(await ask(await token("console"))).toBe("OK");
    expect(await ask(await token("replay-1"))).toBe("FORBIDDEN");
  });

  test("does not leave a handler that forgot to ask whose it is", async () => {
    await using scope = new AsyncDisposableStack();
    const client = await serve(scope, OrderService, {
      getOrder: () => order(ADA),
      async *watchOrder() {
        yield order(ADA);
      },
    });
    const orders = await client("gateway", by("support"));
    expect(await outcome(orders.getOrder(request))).toBe("INTERNAL");
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const message of orders.watchOrder(request)) seen.push(message);
    })();
    expect(await outcome(reading)).toBe("INTERNAL");
    expect(seen).toEqual([]);
  });
});

test("nobody calls what the contract does not say anything about", async () => {
  await using scope = new AsyncDisposableStack();
  const client = await serve(scope, TrialService, { ask: () => ({ text: "told" }) });
  expect(await outcome((await client("gateway", by("admin"))).ask({}))).toBe("FORBIDDEN");
});

test("a token counts for nothing without a certificate", async () => {
  await using server = await startTestServer(
    { interceptors: [contractAccess({ verifier, clock })] },
    handlers(InventoryService, { getProduct: () => ({}) }),
  );
  const inventory = server.client(InventoryService, { interceptors: [by("admin")] });
  expect(await outcome(inventory.getProduct({ sku: "TEA" }))).toBe("UNAUTHENTICATED");
});

test("why a token is refused is not told", async () => {
  await using scope = new AsyncDisposableStack();
  const client = await serve(scope, InventoryService, { getProduct: () => ({}) });
  const signer = await signerOf({ issuer });
  const messages = await Promise.all(
    [{ exp: 1 }, { aud: "bank" }, { iss: "https://example.com" }].map(async (claims) => {
      const inventory = await client("gateway", bearing(await signer.sign({ claims })));
      return inventory.getProduct({ sku: "TEA" }).catch(String);
    }),
  );
  expect(new Set(messages).size).toBe(1);
});

test("a token that nobody can verify now is not refused: the caller comes back", async () => {
  await using nobody = await PublishedKeys.start();
  nobody.away = true;
  using late = new TokenVerifier({ issuer: nobody.issuer, audience: "emporium" });
  await using server = await startTestServer(
    {
      tls: await tls("inventory"),
      interceptors: [contractAccess({ verifier: late })],
      isAway: (error) => error instanceof IssuerAway,
      log: { error: () => undefined },
    },
    handlers(InventoryService, { getProduct: () => ({}) }),
  );
  const inventory = server.client(InventoryService, {
    tls: { source: await tls("gateway"), server: "inventory" },
    interceptors: [by("ada")],
  });
  expect(await outcome(inventory.getProduct({ sku: "TEA" }, { timeoutMs: 10_000 }))).toBe(
    "DEPENDENCY_AWAY",
  );
});

describe("a stream ends when its token does, and goes on with a new one", () => {
  /** Streams of three kinds whose handlers wait until they are told to stop. */
  async function waiting(scope: AsyncDisposableStack) {
    const [begun, stopped]: [string[], string[]] = [[], []];
    const forever = async (kind: string, signal: AbortSignal) => {
      begun.push(kind);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      stopped.push(kind);
    };
    const client = await serve(scope, InventoryService, {
      async *watchStock(_, { signal }) {
        yield {};
        await forever("server", signal);
      },
      async importStock(_, { signal }) {
        await forever("client", signal);
        return {};
      },
      async *countStock(_, { signal }) {
        yield {};
        await forever("bidi", signal);
      },
    });
    return { client, begun, stopped };
  }

  async function* quiet(end: Promise<unknown>): AsyncGenerator<never> {
    await end;
  }

  test.each(["server", "client", "bidi"] as const)("%s stream", async (kind) => {
    await using scope = new AsyncDisposableStack();
    const { client, begun, stopped } = await waiting(scope);
    const signer = await signerOf({ issuer });
    const claims = { scope: "catalogue.read stock.write" };
    const jwt = async (seconds: number) =>
      signer.sign({ claims: { ...claims, exp: Math.floor(clock.now() / 1000) + seconds } });
    const open = async (seconds: number) => {
      const inventory = await client("gateway", bearing(await jwt(seconds)));
      const end = new Promise<never>(() => undefined);
      const calls = {
        server: () => outcome(inventory.watchStock({})),
        client: () => outcome(inventory.importStock(quiet(end))),
        bidi: () => outcome(inventory.countStock(quiet(end))),
      };
      return calls[kind]();
    };
    const short = open(60);
    void open(600).catch(() => undefined);
    await expect.poll(() => begun).toEqual([kind, kind]);
    clock.advance(89_000);
    expect(stopped).toEqual([]);
    clock.advance(1_000);
    expect(await short).toBe("UNAUTHENTICATED");
    await expect.poll(() => stopped).toEqual([kind]);
    void open(60).catch(() => undefined);
    await expect.poll(() => begun).toHaveLength(3);
  });
});
