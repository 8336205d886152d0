import { inspect } from "node:util";
import type { DescService } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { type ClientObserver, Code, ConnectError, type Interceptor } from "@emporium/grpc";
import { type Shop, type ShopClientOptions, Tokens } from "@emporium/local";
import { newId } from "@emporium/runtime";
import { Client } from "pg";
import type { Secrets } from "./search.js";

const mark = newId("sku").slice(-8);

/** What a customer trusts a shop with. */
export const planted = {
  recipient: `Philippa Planted ${mark}`,
  street: `12 Planted Square ${mark}`,
  locality: `Plantedbury ${mark}`,
  postcode: `PLT ${mark}`,
  email: `philippa.${mark}@planted.example`,
  phone: `+4477009${String(Date.now()).slice(-8)}`,
  "declined payment token": `tok_planted.${mark}`,
  "payment token": "tok_approve",
  "flaky payment token": "tok_flaky",
  "forged bearer token": `planted.${mark}.forged`,
};

const shippingAddress = {
  recipient: planted.recipient,
  addressLines: [planted.street],
  locality: planted.locality,
  postalCode: planted.postcode,
  country: "GB",
  email: planted.email,
  phone: planted.phone,
};

const sku = `PLT-${mark}`;
const price = { currencyCode: "GBP", units: 3n, nanos: 390_000_000 };
const cart = (line: object) => ({ case: "cart" as const, value: { lines: [line] } });

/** A purchase of one thing, with all that is planted in it. */
export const purchase = (more: object = {}) => ({
  checkoutId: newId("chk"),
  customerId: "17850",
  basket: cart({ sku, quantity: 1n }),
  paymentToken: planted["payment token"],
  shippingAddress,
  ...more,
});

/** The same as checkout would ask orders for it. */
export const newOrder = () => ({
  orderId: newId("ord"),
  checkoutId: newId("chk"),
  customerId: "17850",
  shippingAddress,
  lines: [{ sku, title: "WHITE METAL LANTERN", quantity: 1n, unitPrice: price }],
});

/** Those who go through it, and what they got to know. */
export class Journey {
  /** Errors, with their details and trailers. */
  readonly refusals: string[] = [];
  readonly #tokens: Tokens;

  constructor(
    private readonly shop: Shop,
    private readonly observers: ClientObserver[] = [],
  ) {
    this.#tokens = new Tokens(shop.issuer);
  }

  client<Service extends DescService>(
    service: Service,
    by: Parameters<Tokens["get"]>[0],
    as = "test",
  ) {
    return this.#client(service, { as, interceptors: [this.#tokens.of(by)] });
  }

  /** What was sent as `authorization`; the first part is the same in every token of the issuer. */
  async tokens(): Promise<Secrets> {
    const found: Secrets = {};
    for (const name of ["ada", "grace", "support", "admin", "checkout"] as const) {
      const [head = "", claims = "", signature = ""] = (await this.#tokens.get(name)).split(".");
      Object.assign(found, { "head of every token": head });
      Object.assign(found, { [`claims of ${name}`]: claims, [`signature of ${name}`]: signature });
    }
    return found;
  }

  /** Waits for a call to fail with this code, and keeps all that its caller gets to know. */
  async refused(code: Code, call: Promise<unknown>): Promise<void> {
    const error = await call.then(
      () => undefined,
      (thrown: unknown) => ConnectError.from(thrown),
    );
    if (error?.code !== code)
      throw new Error(`Not refused with ${Code[code]}`, { cause: error ?? "it went well" });
    const details = error.details.map((detail) =>
      "type" in detail ? Buffer.from(detail.value).toString("latin1") : inspect(detail),
    );
    this.refusals.push(inspect(error, { depth: 10 }), ...details, inspect([...error.metadata]));
  }

  /** Fills the shelf and buys twice; returns an order and its checkout. */
  async buy(): Promise<{ orderId: string; checkoutId: string }> {
    using inventory = await this.client(InventoryService, "admin");
    using checkout = await this.client(CheckoutService, "ada");
    using orders = await this.client(OrderService, "ada");
    await inventory.importStock(
      (async function* () {
        const importId = newId("imp");
        const product = { sku, title: "WHITE METAL LANTERN", unitPrice: price };
        yield { importId, entry: { case: "product" as const, value: product } };
        yield { importId, entry: { case: "adjustment" as const, value: { sku, delta: 50n } } };
      })(),
    );
    const { checkout: bought } = await checkout.completeOrder(purchase());
    const { orderId, checkoutId } = bought!;
    const { order } = await orders.getOrder({ orderId });
    if (order?.shippingAddress?.email !== planted.email) throw new Error("The address is lost");
    await checkout.completeOrder(purchase({ paymentToken: planted["flaky payment token"] }));
    return { orderId, checkoutId };
  }

  /** What the contract refuses: every secret in every field that is not made for it. */
  async breakRules(checkoutId: string): Promise<void> {
    using checkout = await this.client(CheckoutService, "ada");
    using orders = await this.client(OrderService, "ada");
    for (const secret of Object.values(planted)) {
      const wrongs = [
        { checkoutId: secret },
        { customerId: `${secret} ` },
        { basket: cart({ sku: `${secret} `, quantity: 1n }) },
        { basket: { case: "quoteId" as const, value: secret } },
        { shippingAddress: { ...shippingAddress, phone: `${secret} ` } },
        { shippingAddress: { ...shippingAddress, email: `${secret} ` } },
        { shippingAddress: { ...shippingAddress, recipient: secret.repeat(200) } },
        { paymentToken: secret.repeat(200) },
      ];
      const page = { customerId: "17850", pageToken: secret };
      const watch = { checkoutId, resumeToken: secret };
      for (const wrong of wrongs)
        await this.refused(Code.InvalidArgument, checkout.completeOrder(purchase(wrong)));
      await this.refused(Code.InvalidArgument, orders.getOrder({ orderId: secret }));
      await this.refused(Code.InvalidArgument, orders.listOrders(page));
      const watched = Array.fromAsync(checkout.watchCheckout(watch));
      await this.refused(Code.InvalidArgument, watched);
    }
  }

  /** What the shop refuses. */
  async beRefused({ orderId, checkoutId }: { orderId: string; checkoutId: string }) {
    using checkout = await this.client(CheckoutService, "ada");
    using orders = await this.client(OrderService, "ada");
    using stranger = await this.client(OrderService, "grace");
    const buy = (more: object) => checkout.completeOrder(purchase(more));
    const declined = { paymentToken: planted["declined payment token"] };
    const elsewhere = { ...shippingAddress, addressLines: [`${planted.street}, Annexe`] };
    const other = { checkoutId, shippingAddress: elsewhere };
    await this.refused(Code.FailedPrecondition, buy(declined));
    await this.refused(Code.NotFound, buy({ basket: cart({ sku: "NOSUCH", quantity: 1n }) }));
    await this.refused(Code.AlreadyExists, buy(other));
    await this.refused(Code.PermissionDenied, stranger.getOrder({ orderId }));
    await this.refused(Code.PermissionDenied, orders.createOrder(newOrder()));
    const forged = planted["forged bearer token"];
    for (const authorization of [`Bearer ${forged}`, `Basic ${btoa(forged)}`, forged]) {
      const bearing = { as: "test", interceptors: [bear(authorization)] };
      using nobody = await this.#client(CheckoutService, bearing);
      await this.refused(Code.Unauthenticated, nobody.completeOrder(purchase()));
    }
  }

  /** What breaks: Postgres tells of rows that it cannot take; an order gets another one's address. */
  async breakThings(orderId: string): Promise<string> {
    using checkout = await this.client(CheckoutService, "ada");
    using support = await this.client(OrderService, "support");
    using delegate = await this.client(OrderService, "checkout", "checkout");
    const places = [
      [this.shop.databaseUrls.orders, "orders", () => delegate.createOrder(newOrder())],
      [this.shop.databaseUrls.checkout, "checkouts", () => checkout.completeOrder(purchase())],
    ] as const;
    for (const [url, table, call] of places) {
      await query(url, `ALTER TABLE ${table} ADD CONSTRAINT broken CHECK (false) NOT VALID`);
      await this.refused(Code.Internal, call());
      await query(url, `ALTER TABLE ${table} DROP CONSTRAINT broken`);
    }
    const moved = newOrder();
    await delegate.createOrder(moved);
    await query(
      this.shop.databaseUrls.orders,
      `UPDATE orders SET sealed_address =
         (SELECT sealed_address FROM orders WHERE order_id = '${orderId}')
       WHERE order_id = '${moved.orderId}'`,
    );
    await this.refused(Code.Internal, support.getOrder({ orderId: moved.orderId }));
    return moved.orderId;
  }

  #client<Service extends DescService>(service: Service, options: ShopClientOptions) {
    return this.shop.client(service, { ...options, observers: this.observers });
  }
}

const bear =
  (authorization: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("authorization", authorization);
    return next(request);
  };

/** Runs a statement of the test's own. */
export async function query(url: string, sql: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
