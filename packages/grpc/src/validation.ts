import type { DescMessage, Message } from "@bufbuild/protobuf";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import type { ConnectError } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import { engineFailure } from "./failure.js";

/**
 * Patterns come from the contract, whose authors are trusted, and not from callers: they need no
 * protection from catastrophic ones, and RegExp is several times as fast as the RE2 that protovalidate brings along.
 */
const patterns = new Map<string, RegExp>();
const validator = createValidator({
  regexMatch(pattern, against) {
    let compiled = patterns.get(pattern);
    if (!compiled) patterns.set(pattern, (compiled = new RegExp(pattern, "u")));
    return compiled.test(against);
  },
});

/** Most violations that a reply carries; trailers must stay under 8 KiB. */
const MOST_VIOLATIONS = 20;

/**
 * Checks a message against the rules of its contract (protovalidate).
 *
 * Throws INVALID_ARGUMENT with `google.rpc.BadRequest`, one violation a field: path, description,
 * and the rule's id as `reason`. A rule that cannot be evaluated is a mistake in the contract: it
 * throws a plain error, which arrives as INTERNAL.
 *
 * @example
 * validateMessage(ReserveStockRequestSchema, request); // throws for a line with quantity 0
 */
export function validateMessage(schema: DescMessage, message: Message): void {
  const result = validator.validate(schema, message);
  if (result.kind === "valid") return;
  if (result.kind === "error")
    throw new Error(`A rule of ${schema.typeName} is broken`, { cause: result.error });
  throw invalidRequest(result.violations);
}

function invalidRequest(violations: Violation[]): ConnectError {
  const fieldViolations = violations.slice(0, MOST_VIOLATIONS).map((violation) => ({
    field: fieldPath(violation),
    description: violation.message.slice(0, 200),
    reason: violation.ruleId,
  }));
  const [first] = fieldViolations;
  return engineFailure(
    EngineReason.INVALID_REQUEST,
    first?.field ? `${first.field}: ${first.description}` : (first?.description ?? "Invalid"),
    { fieldViolations },
  );
}

/** `lines[2].sku`, by the names of the .proto file. */
function fieldPath(violation: Violation): string {
  let path = "";
  for (const part of violation.field) {
    if (part.kind === "field") path += path ? `.${part.name}` : part.name;
    else if (part.kind === "oneof") path += path ? `.${part.name}` : part.name;
    else if (part.kind === "list_sub") path += `[${part.index}]`;
    else if (part.kind === "map_sub") path += `[${JSON.stringify(String(part.key))}]`;
  }
  return path;
}
