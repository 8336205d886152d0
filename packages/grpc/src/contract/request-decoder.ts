import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import {
  field as fieldRules,
  type FieldRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { ConnectError } from "@connectrpc/connect";
import { BoundExceededError, boundedDecoder, type Excess, type FieldBounds } from "@emporium/codec";
import { EngineReason } from "@emporium/contracts/options/v1";
import { engineFailure } from "../failure.js";

/** List items, map entries and unknown fields of one request, at any depth, whatever its rules say. */
const MAX_ELEMENTS = 100_000;

/** UTF-8 takes up to four bytes for one of the characters that `max_len` counts. */
const BYTES_PER_CHARACTER = 4n;

const decodeBounded = boundedDecoder({ of: boundsOf, elements: MAX_ELEMENTS });

/** A request that was refused while it was read; the call fails with `error`. */
export class RefusedRequest {
  constructor(readonly error: ConnectError) {}
}

/**
 * Reads a request within the bounds of its contract (`max_items`, `max_pairs`, `max_len`, `max_bytes`
 * of protovalidate): what exceeds one is refused at that byte, before memory is spent on the rest.
 * Every other rule is checked on the whole message. Throws for malformed bytes.
 */
export function decodeRequest(schema: DescMessage, bytes: Uint8Array): Message | RefusedRequest {
  try {
    return decodeBounded(schema, bytes);
  } catch (error) {
    if (!(error instanceof BoundExceededError)) throw error;
    return new RefusedRequest(refusal(error.excess));
  }
}

function boundsOf(field: DescField): FieldBounds {
  if (!hasOption(field, fieldRules)) return {};
  const { type } = getOption(field, fieldRules);
  if (type.case === "repeated") {
    const { maxItems, items } = type.value;
    return { items: numberOf(maxItems), bytes: items && bytesOf(items.type) };
  }
  if (type.case === "map") return { items: numberOf(type.value.maxPairs) };
  return { bytes: bytesOf(type) };
}

function bytesOf(rules: FieldRules["type"]): number | undefined {
  if (rules.case === "bytes") return numberOf(rules.value.maxLen);
  if (rules.case !== "string") return undefined;
  const { maxLen, maxBytes } = rules.value;
  return numberOf(maxBytes) ?? numberOf(maxLen * BYTES_PER_CHARACTER);
}

/** protovalidate's rules are proto2 fields: one that is absent reads as 0. */
function numberOf(rule: bigint): number | undefined {
  return rule > 0n ? Number(rule) : undefined;
}

function refusal({ path, field, bound, limit }: Excess): ConnectError {
  const violation = {
    field: path,
    description: descriptionOf(bound, limit),
    reason: ruleOf(bound, field),
  };
  const text = path ? `${path}: ${violation.description}` : violation.description;
  return engineFailure(EngineReason.INVALID_REQUEST, text, { fieldViolations: [violation] });
}

function descriptionOf(bound: Excess["bound"], limit: number): string {
  if (bound === "bytes") return `must be at most ${limit} bytes`;
  if (bound === "items") return `must contain at most ${limit} items`;
  return `the request must have at most ${limit} list items, map entries and unknown fields`;
}

function ruleOf(bound: Excess["bound"], field: DescField | undefined): string {
  if (bound === "elements") return "request.max_elements";
  if (bound === "items") return field?.fieldKind === "map" ? "map.max_pairs" : "repeated.max_items";
  return field?.scalar === ScalarType.BYTES ? "bytes.max_len" : "string.max_bytes";
}
