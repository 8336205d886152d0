import {
  create,
  createRegistry,
  type DescMethod,
  type DescService,
  getOption,
} from "@bufbuild/protobuf";
import { CheckoutService, CheckoutState, CheckoutStepKind } from "@emporium/contracts/checkout/v1";
import { ServerReflection } from "@emporium/contracts/grpc/reflection/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { access, type AccessPolicy, Owner } from "@emporium/contracts/options/v1";
import { OrderService as OrderServiceV1 } from "@emporium/contracts/orders/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { Code, ConnectError, type GrpcClient } from "@emporium/grpc";
import { bootShop, type Shop } from "@emporium/local";
import { readKeys, signingKeysFile, testInfrastructure, Tokens } from "@emporium/local/test";
import { newId } from "@emporium/runtime";
import {
  decodeJwt,
  generateKeyPair,
  importJWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/**
 * Every method that the shop serves, called by everybody. What must come of it is read off the
 * contract here once more, by other code than the services'. A method that is new is in the table by
 * itself; one whose request names its owner in a new way fails until `known` has that field.
 */
const registry = createRegistry(InventoryService, OrderServiceV1, OrderService, CheckoutService);
const served = [...registry].filter((type) => type.kind === "service");
const methods = served.flatMap(({ methods }) => methods);

/** Ada, whose things all requests are about. */
const ADA = "17850";

/** Somebody who calls: with which certificate, and with which token. */
interface Principal {
  as: string;
  token: string | undefined;
  /** Whether the token is one that must be taken. */
  valid: boolean;
}

let shop: Shop;
let principals: Record<string, Principal>;
const clients = new Map<string, GrpcClient<DescService>>();
/** Fields of requests, by their names. */
let known: Record<string, unknown>;

beforeAll(async () => {
  shop = await bootShop({ backing: await testInfrastructure() });
  principals = await everybody(new Tokens(shop.issuer));
  known = await adasThings();
});
afterAll(async () => {
  for (const client of clients.values()) client[Symbol.dispose]();
  await shop?.[Symbol.asyncDispose]();
});

test("the table has every method that the services serve", async () => {
  const found = new Set<string>();
  for (const of of ["inventory", "orders", "checkout"] as const) {
    using reflection = await shop.client(ServerReflection, { as: "test", of });
    const request = { messageRequest: { case: "listServices" as const, value: "" } };
    const answers = reflection.serverReflectionInfo(
      (async function* () {
        yield request;
      })(),
    );
    for await (const { messageResponse } of answers)
      if (messageResponse.case === "listServicesResponse")
        for (const { name } of messageResponse.value.service) found.add(name);
  }
  const ours = [...found].filter((name) => name.startsWith("emporium."));
  expect(ours.sort()).toEqual(served.map(({ typeName }) => typeName).sort());
});

describe.each(
  methods.map((method) => [`${method.parent.typeName}.${method.name}`, method] as const),
)("%s", (_, method) => {
  test("lets in whom the contract names, and nobody else", async () => {
    const outcomes: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [name, principal] of Object.entries(principals)) {
      outcomes[name] = await outcomeOf(method, principal);
      expected[name] = expectedFor(getOption(method, access), principal);
    }
    expect(outcomes).toEqual(expected);
  });
});

test("what a customer began is finished with checkout's own token when nobody is there", async () => {
  using checkout = await shop.client(CheckoutService, { as: "gateway", by: "support" });
  const { checkoutId } = known as { checkoutId: string };
  const database = new Client(shop.databaseUrls.checkout);
  await database.connect();
  try {
    // As a process leaves it that died before it wrote the end down.
    await database.query(
      `UPDATE checkouts SET state = 'RUNNING', end_time = NULL, lease_until = '-infinity',
         lease_owner = gen_random_uuid() WHERE checkout_id = $1`,
      [checkoutId],
    );
  } finally {
    await database.end();
  }
  const now = async () => {
    const { checkout: row, steps } = await checkout.getCheckout({ checkoutId });
    const kinds = steps.map(({ kind }) => CheckoutStepKind[kind]);
    return { state: CheckoutState[row!.state], takenOver: kinds.includes("TAKEN_OVER") };
  };
  await expect.poll(now, { timeout: 30_000 }).toEqual({ state: "COMPLETED", takenOver: true });
});

function expectedFor(policy: AccessPolicy, { as, token, valid }: Principal): string {
  if (!token || !valid) return "UNAUTHENTICATED";
  const { sub, client_id: clientId, scope } = decodeJwt<{ scope?: string }>(token);
  const scopes = scope?.split(" ") ?? [];
  if (policy.callers.length > 0 && !policy.callers.includes(as)) return "FORBIDDEN";
  if (!policy.scopes.every((needed) => scopes.includes(needed))) return "FORBIDDEN";
  if (policy.owner !== Owner.CUSTOMER || scopes.includes("support")) return "let in";
  const isDelegate = sub === clientId && sub === as && policy.delegates.includes(as);
  return sub === ADA || isDelegate ? "let in" : "FORBIDDEN";
}

/** What comes of a call, up to the first message of its answer. */
async function outcomeOf(method: DescMethod, { as, token }: Principal): Promise<string> {
  const call = (await clientOf(method.parent, as))[method.localName]!;
  const request = create(method.input, known);
  const sends = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const answer = call(sends ? just(request) : request, { headers });
  try {
    if (typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer)
      for await (const _ of answer as AsyncIterable<unknown>) break;
    else await answer;
  } catch (error) {
    const { code } = ConnectError.from(error);
    if (code === Code.Unauthenticated) return "UNAUTHENTICATED";
    if (code === Code.PermissionDenied) return "FORBIDDEN";
    if (code === Code.Internal || code === Code.Unknown) return String(error);
  }
  return "let in";
}

type AnyClient = Record<
  string,
  (request: unknown, options: { headers: Record<string, string> }) => unknown
>;

/** One for all calls of a service by a program. */
async function clientOf(service: DescService, as: string): Promise<AnyClient> {
  const key = `${service.typeName} ${as}`;
  const client = clients.get(key) ?? (await shop.client(service, { as }));
  clients.set(key, client);
  return client;
}

async function* just<T>(message: T): AsyncGenerator<T> {
  yield message;
}

async function everybody(tokens: Tokens): Promise<Record<string, Principal>> {
  const taken = async (as: string, by: Parameters<Tokens["get"]>[0]): Promise<Principal> => ({
    as,
    token: await tokens.get(by),
    valid: true,
  });
  const admin = decodeJwt(await tokens.get("admin"));
  const [jwk] = (await readKeys(signingKeysFile(shop.issuer.folder))).keys;
  const key = await importJWK(jwk!, "ES256");
  const forged = async (claims: JWTPayload, signWith = key): Promise<Principal> => ({
    as: "checkout",
    token: await new SignJWT({ ...admin, ...claims })
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: jwk!.kid! })
      .sign(signWith),
    valid: false,
  });
  const { privateKey } = await generateKeyPair("ES256");
  const unsigned = new UnsecuredJWT(admin).encode();
  return {
    anonymous: { as: "checkout", token: undefined, valid: false },
    expired: await forged({ exp: admin.iat! - 60 }),
    "wrong audience": await forged({ aud: "bank" }),
    "wrong signature": await forged({}, privateKey),
    "alg none": { as: "checkout", token: unsigned, valid: false },
    customer: await taken("gateway", "ada"),
    "other customer": await taken("gateway", "grace"),
    support: await taken("gateway", "support"),
    admin: await taken("gateway", "admin"),
    "customer by checkout": await taken("checkout", "ada"),
    "other customer by checkout": await taken("checkout", "grace"),
    "admin by checkout": await taken("checkout", "admin"),
    inventory: await taken("inventory", "inventory"),
    orders: await taken("orders", "orders"),
    checkout: await taken("checkout", "checkout"),
    gateway: await taken("gateway", "gateway"),
    "checkout's token by a wrong service": await taken("orders", "checkout"),
    "admin by a wrong service": await taken("inventory", "admin"),
  };
}

/** A purchase of Ada's, and requests about it. */
async function adasThings(): Promise<Record<string, unknown>> {
  using inventory = await shop.client(InventoryService, { as: "delivery", by: "delivery" });
  using checkout = await shop.client(CheckoutService, { as: "gateway", by: "ada" });
  const unitPrice = { currencyCode: "GBP", units: 2n, nanos: 0 };
  const [sku, importId] = ["LANTERN", newId("imp")];
  await inventory.importStock(
    (async function* () {
      const product = { sku, title: "WHITE METAL LANTERN", unitPrice };
      yield { importId, entry: { case: "product" as const, value: product } };
      yield { importId, entry: { case: "adjustment" as const, value: { sku, delta: 100n } } };
    })(),
  );
  const checkoutId = newId("chk");
  const lines = [{ sku, quantity: 1n, title: "WHITE METAL LANTERN", unitPrice }];
  const basket = { case: "cart", value: { lines } };
  const purchase = { checkoutId, customerId: ADA, basket, paymentToken: "tok_approve" };
  const { checkout: bought } = await checkout.completeOrder(purchase as never);
  return {
    ...purchase,
    orderId: bought!.orderId,
    returnId: newId("ret"),
    reason: 1,
    lines,
    action: { case: "start", value: { customerId: ADA } },
  };
}
