import {
  create,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { OutboxRow } from "@emporium/database";
import { v7 as uuidv7 } from "uuid";
import { traceHeaders } from "./tracing.js";

/** Below NATS' default `max_payload` of 1 MiB, with room for the headers of a dead letter. */
const LARGEST_EVENT_BYTES = 900_000;

export interface OutboxEventInit<Desc extends DescMessage> {
  /** Id of what the event happened to, such as an order's. */
  aggregateId: string;
  /** Kind of the aggregate; if not given, the prefix of its id (`ord` of `ord_01h…`). */
  aggregateType?: string;
  /** The aggregate's version after this event: 1 for its first event, then one more each time. */
  version: number | bigint;
  message: MessageInitShape<Desc> | MessageShape<Desc>;
  /** Further headers for the event, over `traceparent` and `tracestate` of the running code. */
  headers?: Record<string, string>;
}

/**
 * Makes the outbox row of an event: id, protobuf payload, and the aggregate and version that give
 * it its order. Take the version under the aggregate's row lock, in the transaction that emits.
 * Throws a RangeError for a message over 900,000 bytes, which no stream would take.
 * @example
 *     tx.emit(outboxEvent(OrderPlacedSchema, {
 *       aggregateId: order.orderId, version: order.revision, message: { order } }));
 */
export function outboxEvent<Desc extends DescMessage>(
  schema: Desc,
  { aggregateId, aggregateType, version, message, headers }: OutboxEventInit<Desc>,
): OutboxRow {
  const payload = toBinary(schema, create(schema, message as MessageInitShape<Desc>));
  if (payload.byteLength > LARGEST_EVENT_BYTES) {
    throw new RangeError(
      `${schema.typeName} of ${aggregateId} has ${payload.byteLength} bytes, more than ${LARGEST_EVENT_BYTES}`,
    );
  }
  const traced = traceHeaders();
  return {
    id: uuidv7(),
    aggregateType: aggregateType ?? kindOf(aggregateId),
    aggregateId,
    version,
    type: schema.typeName,
    payload,
    ...((headers ?? traced) && { headers: { ...traced, ...headers } }),
  };
}

function kindOf(aggregateId: string): string {
  const end = aggregateId.lastIndexOf("_");
  return end > 0 ? aggregateId.slice(0, end) : "aggregate";
}
