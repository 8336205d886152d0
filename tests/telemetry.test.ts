import { randomBytes } from "node:crypto";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { Code } from "@emporium/grpc";
import { bootShop, type Shop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Journey, planted, purchase, query } from "./secrets/journey.js";
import { wanted } from "./telemetry/queries.js";
import { Receiver, type Span } from "./telemetry/receiver.js";

/** What a shop of processes sends to whoever observes it, by OTLP. */
let receiver: Receiver;
let shop: Shop;
let journey: Journey;
const warnings: Record<string, string>[] = [];
const soon = { timeout: 15_000 };

beforeAll(async () => {
  receiver = await Receiver.open();
  shop = await bootShop({
    backing: await testInfrastructure(),
    processes: true,
    environment: () => receiver.environment,
    onLine: (_, line) => warnings.push(JSON.parse(line) as Record<string, string>),
  });
  journey = new Journey(shop);
  await journey.buy();
}, 60_000);

afterAll(async () => {
  await shop?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

function shown({ service, kind, name }: Span): string {
  const short = name.replace(/^emporium\.\w+\.v\d\./, "").replace(/ .*_/, " ");
  return `${service} ${kind} ${short}`;
}

/** Each kind of span in a trace once, without statements: as a part of what, by whom, what. */
function told(traceId: string): string[] {
  const spans = receiver.spans.filter((span) => span.traceId === traceId);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const parts = spans
    .filter(({ attributes }) => !attributes["db.system.name"])
    .map((span) => {
      const whole = byId.get(span.parentSpanId ?? "");
      return `${whole ? shown(whole) : "customer"} > ${shown(span)}`;
    });
  return [...new Set(parts)].toSorted();
}

test("a checkout is one trace, through every service and on to who takes its events in", async () => {
  using checkout = await journey.client(CheckoutService, "ada");
  const traceId = randomBytes(16).toString("hex");
  const traceparent = `00-${traceId}-${randomBytes(8).toString("hex")}-01`;
  await checkout.completeOrder(purchase(), { headers: { traceparent } });
  const calls = [
    ["inventory", "InventoryService/CheckStock"],
    ["inventory", "InventoryService/ReserveStock"],
    ["orders", "OrderService/CreateOrder"],
    ["inventory", "InventoryService/CommitReservation"],
  ];
  const whole = "checkout SERVER CheckoutService/CompleteOrder";
  await expect
    .poll(() => told(traceId), soon)
    .toEqual(
      [
        `customer > ${whole}`,
        `${whole} > checkout PRODUCER publish CHECKOUT`,
        ...calls.flatMap(([service, method]) => [
          `${whole} > checkout CLIENT ${method}`,
          `checkout CLIENT ${method} > ${service} SERVER ${method}`,
        ]),
        "inventory SERVER InventoryService/ReserveStock > inventory PRODUCER publish INVENTORY",
        "inventory SERVER InventoryService/CommitReservation > inventory PRODUCER publish INVENTORY",
        "orders SERVER OrderService/CreateOrder > orders PRODUCER publish ORDERS",
        "orders PRODUCER publish ORDERS > checkout CONSUMER process ORDERS",
        "orders PRODUCER publish ORDERS > inventory CONSUMER process ORDERS",
      ].toSorted(),
    );
  const statements = receiver.spans.filter((span) => span.attributes["db.system.name"]);
  expect(statements.filter((span) => span.traceId === traceId).length).toBeGreaterThan(5);
  // Relays and sweeps ask Postgres all the time, for nobody.
  expect(statements.filter((span) => !span.parentSpanId)).toEqual([]);
});

test("a call that fails is in the log with the ids of its span", async () => {
  using checkout = await journey.client(CheckoutService, "ada");
  const table = "ALTER TABLE checkouts";
  await query(shop.databaseUrls.checkout, `${table} ADD CONSTRAINT broken CHECK (false) NOT VALID`);
  await journey.refused(Code.Internal, checkout.completeOrder(purchase()));
  await query(shop.databaseUrls.checkout, `${table} DROP CONSTRAINT broken`);
  const line = await expect
    .poll(() => warnings.find(({ code }) => code === "INTERNAL"), soon)
    .toBeDefined()
    .then(() => warnings.find(({ code }) => code === "INTERNAL")!);
  await expect
    .poll(() => receiver.spans.find(({ spanId }) => spanId === line["span_id"]), soon)
    .toMatchObject({
      traceId: line["trace_id"],
      kind: "SERVER",
      status: { code: 2 },
      attributes: { "rpc.method": line["rpc"], "rpc.response.status_code": "INTERNAL" },
    });
});

test("every series and label that a dashboard or an alert reads is sent", async () => {
  using checkout = await journey.client(CheckoutService, "ada");
  const declined = purchase({ paymentToken: planted["declined payment token"] });
  await journey.refused(Code.FailedPrecondition, checkout.completeOrder(declined));
  const all = wanted();
  expect(new Set(all.map(({ by }) => by)).size).toBe(25);
  const missing = () =>
    all.flatMap(({ by, series, labels }) => {
      const sent = receiver.series.get(series);
      if (!sent) return `${by}: ${series}`;
      return labels
        .filter((label) => !sent.has(label))
        .map((label) => `${by}: ${series}{${label}}`);
    });
  await expect.poll(missing, soon).toEqual([]);
});
