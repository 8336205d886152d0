import { create } from "@bufbuild/protobuf";
import {
  ExportOrdersRequestSchema,
  GetOrderRequestSchema,
  ListOrdersRequestSchema,
} from "@emporium/contracts/orders/v1";
import { validateMessage } from "@emporium/grpc";
import { Controller, Get, Param, Query, StreamableFile } from "@nestjs/common";
import { Readable } from "node:stream";
import { order, STREAM_MESSAGES } from "../rpc/subject.js";

/** The order as ProtoJSON writes it (64-bit numbers are strings), made anew as a handler would. */
function newOrder() {
  const money = (amount: typeof order.total) => ({ ...amount, units: String(amount.units) });
  return {
    ...order,
    state: "ORDER_STATE_PLACED",
    revision: String(order.revision),
    total: money(order.total),
    lines: order.lines.map((line) => ({
      ...line,
      quantity: String(line.quantity),
      unitPrice: money(line.unitPrice),
    })),
  };
}

/** The REST form that the contract names, with the contract's rules for what comes in. */
@Controller("v1")
export class RestOrders {
  @Get("orders/:orderId")
  getOrder(@Param("orderId") orderId: string) {
    validateMessage(GetOrderRequestSchema, create(GetOrderRequestSchema, { orderId }));
    return { order: newOrder() };
  }

  @Get("orders")
  listOrders(@Query("pageSize") pageSize: string) {
    const request = create(ListOrdersRequestSchema, { pageSize: Number(pageSize) });
    validateMessage(ListOrdersRequestSchema, request);
    return { orders: Array.from({ length: request.pageSize }, newOrder), nextPageToken: "" };
  }

  /** A line for each order (NDJSON). */
  @Get("orders:export")
  exportOrders() {
    validateMessage(ExportOrdersRequestSchema, create(ExportOrdersRequestSchema));
    const lines = function* () {
      for (let sent = 0; sent < STREAM_MESSAGES; sent++)
        yield `${JSON.stringify({ order: newOrder() })}\n`;
    };
    return new StreamableFile(Readable.from(lines()), { type: "application/x-ndjson" });
  }
}
