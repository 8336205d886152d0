/**
 * What `buf breaking` does not see: promises that stand in the contract's options. Whoever may call,
 * with what, for how long, and what a failure looks like, may only get better for the caller.
 */
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescOneof,
  type FileRegistry,
  getOption,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import {
  field as fieldRules,
  FieldRulesSchema,
  message as messageRules,
  MessageRulesSchema,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { http, type HttpRule } from "@emporium/contracts/google/api";
import { access, call, error_domain, Owner, reason } from "@emporium/contracts/options/v1";

/** A promise that is no longer kept. */
export interface BrokenPromise {
  readonly rule: PromiseRule;
  /** Full name of the method, field or value. */
  readonly place: string;
}

export type PromiseRule =
  /** A request that was valid is valid. */
  | "FIELD_RULES_NOT_TIGHTENED"
  /** A request without a field that is new is valid. */
  | "NEW_FIELD_NOT_REQUIRED"
  /** A reason has the code, the detail and the domain that it had. */
  | "REASON_SAME"
  /** Who could call can call. */
  | "ACCESS_NOT_NARROWED"
  /** What could be called by REST can be called the same way. */
  | "REST_NO_DELETE"
  /** A call may take as long, and a stream be as long, as it could. */
  | "CALL_NOT_LOWERED";

/**
 * Compares two images of the contract, the older first.
 *
 * @example
 * brokenPromises(registryOf(readFileSync("proto/releases/0.1.0.binpb")), today); // []
 */
export function brokenPromises(before: FileRegistry, after: FileRegistry): BrokenPromise[] {
  const broken: BrokenPromise[] = [];
  const tell = (rule: PromiseRule, place: string) => broken.push({ rule, place });
  const taken = new Set<string>();
  for (const { services, enums } of ourFiles(before)) {
    for (const old of services.flatMap((service) => service.methods)) {
      reach(old.input, taken);
      const now = after.getService(old.parent.typeName)?.method[old.localName];
      if (now) for (const rule of methodRules(old, now)) tell(rule, placeOf(now));
    }
    for (const old of enums) {
      const now = after.getEnum(old.typeName);
      if (now && !sameReasons(old, now)) tell("REASON_SAME", old.typeName);
    }
  }
  for (const name of taken) {
    const [old, now] = [before.getMessage(name), after.getMessage(name)];
    if (!old || !now) continue;
    for (const place of tightened(old, now)) tell("FIELD_RULES_NOT_TIGHTENED", place);
    for (const place of newAndRequired(old, now)) tell("NEW_FIELD_NOT_REQUIRED", place);
  }
  return broken;
}

function ourFiles(registry: FileRegistry) {
  return [...registry.files].filter(({ proto }) => proto.package.startsWith("emporium."));
}

function placeOf(thing: DescMethod | DescField): string {
  return `${thing.parent.typeName}.${thing.name}`;
}

/** Names of our messages that a caller can send. */
function reach(message: DescMessage, found: Set<string>): void {
  if (found.has(message.typeName) || !message.typeName.startsWith("emporium.")) return;
  found.add(message.typeName);
  for (const field of message.fields) if (field.message) reach(field.message, found);
}

function methodRules(old: DescMethod, now: DescMethod): PromiseRule[] {
  const [before, after] = [getOption(old, access), getOption(now, access)];
  const narrowed =
    after.scopes.some((scope) => !before.scopes.includes(scope)) ||
    (after.callers.length > 0 &&
      (before.callers.length === 0 || before.callers.some((c) => !after.callers.includes(c)))) ||
    (before.owner === Owner.NONE && after.owner !== Owner.NONE);
  const [was, is] = [getOption(old, call), getOption(now, call)];
  const lowered =
    (was.longest && (!is.longest || durationMs(is.longest) < durationMs(was.longest))) ||
    is.maxRequests < was.maxRequests ||
    is.maxResponses < was.maxResponses;
  const rest = restForms(getOption(now, http));
  const gone = restForms(getOption(old, http)).some((form) => !rest.includes(form));
  return [
    ...(narrowed ? ["ACCESS_NOT_NARROWED" as const] : []),
    ...(lowered ? ["CALL_NOT_LOWERED" as const] : []),
    ...(gone ? ["REST_NO_DELETE" as const] : []),
  ];
}

function restForms({ pattern, body, responseBody, additionalBindings }: HttpRule): string[] {
  const own = pattern.case
    ? [JSON.stringify([pattern.case, pattern.value, body, responseBody])]
    : [];
  return [...own, ...additionalBindings.flatMap(restForms)];
}

function sameReasons(old: DescEnum, now: DescEnum): boolean {
  if (getOption(old, error_domain) !== getOption(now, error_domain)) return false;
  return old.values.every((value) => {
    const kept = now.value[value.number];
    const [was, is] = [getOption(value, reason), kept && getOption(kept, reason)];
    return !is || (was.code === is.code && was.detail === is.detail);
  });
}

function tightened(old: DescMessage, now: DescMessage): string[] {
  const fields = old.fields.flatMap((field) => {
    const kept = now.fields.find(({ number }) => number === field.number);
    return kept && isTighter(rulesOf(field), rulesOf(kept)) ? [placeOf(kept)] : [];
  });
  const isRequired = (oneof: DescOneof) => getOption(oneof, oneofRules).required;
  const free = old.oneofs.filter((oneof) => !isRequired(oneof)).map(({ name }) => name);
  const oneofs = now.oneofs
    .filter((oneof) => free.includes(oneof.name) && isRequired(oneof))
    .map(({ name }) => `${now.typeName}.${name}`);
  const wholes = [old, now].map((of) =>
    leaves(toJson(MessageRulesSchema, getOption(of, messageRules))),
  );
  return [...fields, ...oneofs, ...(isTighter(wholes[0]!, wholes[1]!) ? [now.typeName] : [])];
}

function rulesOf(field: DescField): Map<string, string> {
  return leaves(toJson(FieldRulesSchema, getOption(field, fieldRules)));
}

const ALWAYS = "IGNORE_ALWAYS";

/** Every rule by its path: `string.maxLen` is "200". */
function leaves(value: JsonValue, path = ""): Map<string, string> {
  if (typeof value !== "object" || value === null) return new Map([[path, String(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [
      ...leaves(inner, path ? `${path}.${key}` : key),
    ]),
  );
}

/** Whether rules refuse what they let pass before, or may do so: a pattern that differs may. */
function isTighter(before: Map<string, string>, after: Map<string, string>): boolean {
  if (before.has("ignore") && ![before.get("ignore"), ALWAYS].includes(after.get("ignore")))
    return true;
  return [...after].some(([path, value]) => {
    const old = before.get(path);
    if (old === value || path === "ignore") return false;
    const name = path.slice(path.lastIndexOf(".") + 1);
    if (old !== undefined && /^(max|lte?$)/.test(name)) return !(Number(value) >= Number(old));
    if (old !== undefined && /^(min|gte?$)/.test(name)) return !(Number(value) <= Number(old));
    return true;
  });
}

const validator = createValidator();

/** An older caller leaves a new field out: is that refused? */
function newAndRequired(old: DescMessage, now: DescMessage): string[] {
  const result = validator.validate(now, create(now));
  if (result.kind === "error") throw result.error;
  if (result.kind === "valid") return [];
  const known = new Set([...old.fields, ...old.oneofs].map(({ name }) => name));
  return result.violations
    .flatMap(({ field: [first] }) => (first && "name" in first ? [first.name] : []))
    .filter((name) => !known.has(name))
    .map((name) => `${now.typeName}.${name}`);
}
