import { create, toBinary } from "@bufbuild/protobuf";
import {
  CountStockRequestSchema,
  GetProductRequestSchema,
  ImportStockRequestSchema,
} from "@emporium/contracts/inventory/v1";
import { ExportOrdersRequestSchema, GetOrderRequestSchema } from "@emporium/contracts/orders/v1";

/** The data that every server answers with, as plain fields by their names in JSON. */
export const order = {
  orderId: "ord_01jd3v9q8kf2h9s5w3x1c7e4zt",
  customerId: "17850",
  state: 1,
  lines: [
    line("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", 6, 2, 550_000_000),
    line("71053", "WHITE METAL LANTERN", 6, 3, 390_000_000),
    line("84406B", "CREAM CUPID HEARTS COAT HANGER", 8, 2, 750_000_000),
    line("84029G", "KNITTED UNION FLAG HOT WATER BOTTLE", 6, 3, 390_000_000),
    line("84029E", "RED WOOLLY HOTTIE WHITE HEART.", 6, 3, 390_000_000),
  ],
  total: { currencyCode: "GBP", units: 98, nanos: 320_000_000 },
  checkoutId: "chk_01jd3v9q8kf2h9s5w3x1c7e4zt",
  revision: 1,
};

function line(sku: string, title: string, quantity: number, units: number, nanos: number) {
  return { sku, title, quantity, unitPrice: { currencyCode: "GBP", units, nanos } };
}

/** Messages that a server sends down a stream; the bench tells each server as it starts it. */
export const STREAM_MESSAGES = Number(process.env["STREAM_MESSAGES"] ?? 10_000);

/** What is called, and with which bytes. */
export const scenarios = {
  "small unary": {
    path: "/emporium.inventory.v1.InventoryService/GetProduct",
    kind: "unary",
    request: toBinary(GetProductRequestSchema, create(GetProductRequestSchema, { sku: "85123A" })),
  },
  "order unary": {
    path: "/emporium.orders.v1.OrderService/GetOrder",
    kind: "unary",
    request: toBinary(
      GetOrderRequestSchema,
      create(GetOrderRequestSchema, { orderId: order.orderId }),
    ),
  },
  "server stream": {
    path: "/emporium.orders.v1.OrderService/ExportOrders",
    kind: "server",
    request: toBinary(ExportOrdersRequestSchema, create(ExportOrdersRequestSchema)),
  },
  "client stream": {
    path: "/emporium.inventory.v1.InventoryService/ImportStock",
    kind: "client",
    request: toBinary(
      ImportStockRequestSchema,
      create(ImportStockRequestSchema, {
        importId: "imp_01jd3v9q8kf2h9s5w3x1c7e4zt",
        entry: { case: "adjustment", value: { sku: "85123A", delta: 6n } },
      }),
    ),
  },
  "bidi ping-pong": {
    path: "/emporium.inventory.v1.InventoryService/CountStock",
    kind: "bidi",
    request: toBinary(
      CountStockRequestSchema,
      create(CountStockRequestSchema, { sku: "85123A", counted: 6n }),
    ),
  },
} as const;

export type Scenario = keyof typeof scenarios;
