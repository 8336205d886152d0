import { type DescEnum, getOption } from "@bufbuild/protobuf";
import {
  CheckoutService,
  ReasonSchema as CheckoutReasonSchema,
} from "@emporium/contracts/checkout/v1";
import {
  BadRequestSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "@emporium/contracts/google/rpc";
import {
  InventoryService,
  ReasonSchema as InventoryReasonSchema,
} from "@emporium/contracts/inventory/v1";
import {
  Detail,
  EngineReasonSchema,
  error_domain,
  reason as reasonOption,
} from "@emporium/contracts/options/v1";
import {
  OrderService as OrderServiceV1,
  ReasonSchema as OrdersReasonSchema,
} from "@emporium/contracts/orders/v1";
import { OrderService as OrderServiceV2 } from "@emporium/contracts/orders/v2";
import { findDetail, policyOf, reasonOf, shortName } from "@emporium/grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkout } from "./checkout.js";
import { inventory } from "./inventory.js";
import { orders } from "./orders.js";
import { type Provocation, ReasonShop } from "./shop.js";

/** The services, where their reasons are declared, and how each is provoked. */
const services = [
  [InventoryService, InventoryReasonSchema, inventory],
  [OrderServiceV1, OrdersReasonSchema, orders((shop) => shop.ordersV1)],
  [OrderServiceV2, OrdersReasonSchema, orders((shop) => shop.ordersV2)],
  [CheckoutService, CheckoutReasonSchema, checkout],
] as const;

/** One row for each reason that the contract lists for a method. */
const declared = services.flatMap(([service, schema, provocations]) =>
  service.methods.flatMap((method) =>
    policyOf(method).reasons.map((reason) => ({
      method: policyOf(method).path.slice(1),
      reason,
      schema,
      provoke: (provocations as Record<string, Provocation | undefined>)[
        `${method.name} ${reason}`
      ],
    })),
  ),
);

const details = {
  [Detail.BAD_REQUEST]: BadRequestSchema,
  [Detail.PRECONDITION_FAILURE]: PreconditionFailureSchema,
  [Detail.RESOURCE_INFO]: ResourceInfoSchema,
  [Detail.RETRY_INFO]: RetryInfoSchema,
  [Detail.QUOTA_FAILURE]: QuotaFailureSchema,
};

function policyOfReason(schema: DescEnum, reason: string) {
  const value = schema.values.find(({ name }) => shortName(schema, name) === reason);
  return getOption(value!, reasonOption);
}

let shop: ReasonShop;
beforeAll(async () => {
  shop = await ReasonShop.open();
}, 120_000);
afterAll(() => shop?.[Symbol.asyncDispose]());

test.each(declared)("$method fails with $reason", { timeout: 30_000 }, async (row) => {
  expect(row.provoke, "a row of the table").toBeDefined();
  const error: unknown = await row.provoke!(shop).then(
    () => expect.fail("the call did not fail"),
    (error: unknown) => error,
  );
  const domain = getOption(row.schema, error_domain);
  expect(reasonOf(error)).toMatchObject({ reason: row.reason, domain });
  const policy = policyOfReason(row.schema, row.reason);
  expect(error).toMatchObject({ code: policy.code });
  for (const [detail, schema] of Object.entries(details))
    expect(findDetail(error, schema) !== undefined).toBe(Number(detail) === policy.detail);
});

test("every row of the tables is of a reason that the contract declares", () => {
  const rows = services.flatMap(([service, , table]) =>
    Object.keys(table).map((row) => `${service.typeName}/${row}`),
  );
  const known = declared.map(({ method, reason }) => `${method} ${reason}`);
  expect(rows.filter((row) => !known.includes(row))).toEqual([]);
});

test("no reason left the shop that the method does not declare", () => {
  const engine = EngineReasonSchema.values.map(({ name }) => shortName(EngineReasonSchema, name));
  const admitted = new Set(declared.map(({ method, reason }) => `${method} ${reason}`));
  const undeclared = shop.overheard
    .map(({ method, error }) => ({ method, said: reasonOf(error) }))
    .filter(({ method, said }) =>
      said?.domain === getOption(EngineReasonSchema, error_domain)
        ? !engine.includes(said.reason)
        : !admitted.has(`${method} ${said?.reason}`),
    );
  expect(undeclared).toEqual([]);
  expect(shop.overheard.length).toBeGreaterThanOrEqual(declared.length);
});
