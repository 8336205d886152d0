import {
  createRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonObject,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import { file_emporium_checkout_v1_events } from "@emporium/contracts/checkout/v1";
import { file_emporium_inventory_v1_events } from "@emporium/contracts/inventory/v1";
import { file_emporium_orders_v1_events } from "@emporium/contracts/orders/v1";

/** What stands in place of a value that the contract marks `debug_redact`. */
const REDACTED = "[redacted]";

const events = createRegistry(
  file_emporium_checkout_v1_events,
  file_emporium_inventory_v1_events,
  file_emporium_orders_v1_events,
);

/**
 * An event's payload as ProtoJSON, without what the contract marks `debug_redact`. `undefined` where
 * the contract has no such message, or the bytes are not one.
 *
 * @example
 * readable("emporium.orders.v1.OrderPlaced", payload); // { order: { orderId: "ord_…", … } }
 */
export function readable(type: string, payload: Uint8Array): JsonValue | undefined {
  const message = events.getMessage(type);
  if (!message) return undefined;
  try {
    return redacted(message, toJson(message, fromBinary(message, payload)));
  } catch {
    return undefined;
  }
}

function redacted(message: DescMessage, json: JsonValue): JsonValue {
  // Timestamps and their kin are no objects with the message's fields.
  if (!isObject(json) || message.typeName.startsWith("google.protobuf.")) return json;
  const shown = message.fields.flatMap((field) => {
    const value = json[field.jsonName];
    return value === undefined ? [] : [[field.jsonName, redactedField(field, value)] as const];
  });
  return Object.fromEntries(shown);
}

function redactedField(field: DescField, value: JsonValue): JsonValue {
  if (field.proto.options?.debugRedact) return REDACTED;
  if (!field.message) return value;
  const inside = (each: JsonValue) => redacted(field.message, each);
  if (Array.isArray(value)) return value.map(inside);
  if (field.fieldKind !== "map" || !isObject(value)) return inside(value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inside(each)]));
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
