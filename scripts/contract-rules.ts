/** Rules of the contract that buf does not know: what every method and every field must say. */
import {
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  isFieldSet,
} from "@bufbuild/protobuf";
import {
  durationMs,
  MethodOptions_IdempotencyLevel as Idempotency,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import {
  type FieldRules,
  field as rules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { field_behavior, http } from "@emporium/contracts/google/api";
import {
  access,
  call,
  Compression,
  Detail,
  error_domain,
  failures,
  Owner,
  reason,
  retirement,
} from "@emporium/contracts/options/v1";

/** Every place of these files that leaves something unsaid, one line each. */
export function contractProblems(files: DescFile[]): string[] {
  const ours = files.filter(({ proto }) => proto.package !== "emporium.options.v1");
  const services = ours.flatMap((file) => file.services);
  const enums = files.flatMap((file) => file.enums);
  const requests = reachable(services.flatMap(({ methods }) => methods.map(({ input }) => input)));
  return [
    ...services.flatMap((service) => service.methods.flatMap((m) => methodProblems(m, enums))),
    ...enums
      .filter(({ name }) => name.endsWith("Reason") && hasDomain(enums, name))
      .flatMap(reasonProblems),
    ...unusedReasons(services, enums),
    ...ours.flatMap((file) => file.messages.flatMap(fieldsOf)).flatMap(boundProblems),
    ...[...requests].flatMap(({ fields }) => fields).flatMap(behaviorProblems),
  ];
}

function methodProblems(method: DescMethod, enums: DescEnum[]): string[] {
  const problems: string[] = [];
  const place = `${method.parent.typeName}.${method.name}`;
  const check = (holds: unknown, words: string) => holds || problems.push(`${place}: ${words}`);
  const { options } = method.proto;
  check(
    options && isFieldSet(options, MethodOptionsSchema.field.idempotencyLevel),
    "does not say its idempotency_level",
  );
  check(hasOption(method, access), "does not say who may call it (access)");
  check(hasOption(method, failures), "does not say how it may fail (failures)");
  const { scopes, owner, delegates } = getOption(method, access);
  check(scopes.length > 0, "access names no scope");
  check(owner !== Owner.UNSPECIFIED, "access does not say whose the thing is (owner)");
  check(
    delegates.length === 0 || owner === Owner.CUSTOMER,
    "access names delegates, but no owner whom they could stand in for",
  );
  const known = reasonEnum(method.parent, enums)?.values.map(({ localName }) => localName) ?? [];
  for (const name of getOption(method, failures).reasons)
    check(known.includes(name), `failures names ${name}, which is no reason of its package`);
  check(
    method.deprecated === hasOption(method, retirement),
    "is deprecated without a day that it goes away (retirement), or the reverse",
  );
  if (hasOption(method, retirement)) problems.push(...retirementProblems(method, place));
  if (method.methodKind === "unary" || method.methodKind === "server_streaming")
    check(hasOption(method, http), "does not say its REST form (google.api.http)");
  return check(hasOption(method, call), "does not say how it runs (call)") === true
    ? [...problems, ...callProblems(method, place)]
    : problems;
}

function retirementProblems(method: DescMethod, place: string): string[] {
  const { deprecationDate, sunsetDate } = getOption(method, retirement);
  const dates = { deprecation_date: deprecationDate, sunset_date: sunsetDate };
  const malformed = Object.entries(dates).filter(([, date]) => !isDay(date));
  if (malformed.length > 0)
    return malformed.map(([name]) => `${place}: retirement.${name} is no day (2027-06-30)`);
  return sunsetDate > deprecationDate
    ? []
    : [`${place}: retirement leaves its callers no time to move`];
}

function isDay(date: string): boolean {
  const time = Date.parse(date);
  return !Number.isNaN(time) && new Date(time).toISOString().slice(0, 10) === date;
}

function callProblems(method: DescMethod, place: string): string[] {
  const problems: string[] = [];
  const check = (holds: unknown, words: string) => holds || problems.push(`${place}: ${words}`);
  const said = getOption(method, call);
  const deadline = said.deadline ? durationMs(said.deadline) : 0;
  const longest = said.longest ? durationMs(said.longest) : 0;
  const sends = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  const receives =
    method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
  check(deadline > 0, "call has no deadline");
  check(longest >= deadline, "call.longest is less than its deadline");
  check(sends ? said.maxRequests > 1n : said.maxRequests === 1n, "call.max_requests does not fit");
  check(
    receives ? said.maxResponses > 1n : said.maxResponses === 1n,
    "call.max_responses does not fit",
  );
  check(said.compression !== Compression.UNSPECIFIED, "call does not say its compression");
  check(
    !said.hedgingDelay || method.idempotency === Idempotency.NO_SIDE_EFFECTS,
    "is hedged, but has side effects",
  );
  return problems;
}

function reasonProblems(enumeration: DescEnum): string[] {
  return enumeration.values
    .filter(({ number }) => number !== 0)
    .flatMap((value) => {
      const { code, detail } = getOption(value, reason);
      const place = `${enumeration.typeName}.${value.name}`;
      return [
        ...(code ? [] : [`${place}: has no status code`]),
        ...(detail === Detail.UNSPECIFIED ? [`${place}: has no detail type`] : []),
      ];
    });
}

function unusedReasons(services: DescService[], enums: DescEnum[]): string[] {
  return services.flatMap((service) => {
    const used = service.methods.flatMap((method) => getOption(method, failures).reasons);
    const declared = reasonEnum(service, enums)?.values.filter(({ number }) => number !== 0) ?? [];
    return declared
      .filter(({ localName }) => !used.includes(localName))
      .map(({ name }) => `${service.typeName}: no method fails with ${name}`);
  });
}

function reasonEnum(service: DescService, enums: DescEnum[]): DescEnum | undefined {
  return enums.find(({ typeName }) => typeName === `${service.file.proto.package}.Reason`);
}

function hasDomain(enums: DescEnum[], name: string): boolean {
  return enums.some((e) => e.name === name && hasOption(e, error_domain));
}

function fieldsOf(message: DescMessage): DescField[] {
  return [...message.fields, ...message.nestedMessages.flatMap(fieldsOf)];
}

/** Every string, bytes, list and map has an upper bound. */
function boundProblems(field: DescField): string[] {
  const place = `${field.parent.typeName}.${field.name}`;
  const { type } = getOption(field, rules);
  if (field.fieldKind === "list") {
    const list = type.case === "repeated" ? type.value : undefined;
    const items = list?.items?.type;
    return [
      ...(list && list.maxItems > 0n ? [] : [`${place}: a list without max_items`]),
      ...(field.listKind === "scalar" && unbounded(field.scalar, items)
        ? [`${place}: its items have no max_len`]
        : []),
    ];
  }
  if (field.fieldKind === "map")
    return type.case === "map" && type.value.maxPairs > 0n
      ? []
      : [`${place}: a map without max_pairs`];
  return field.fieldKind === "scalar" && unbounded(field.scalar, type)
    ? [`${place}: has no max_len`]
    : [];
}

type RuleType = FieldRules["type"];
const STRING = 9;
const BYTES = 12;

function unbounded(scalar: number, type: RuleType | undefined): boolean {
  if (scalar === STRING)
    return !(type?.case === "string" && (type.value.maxLen > 0n || type.value.maxBytes > 0n));
  if (scalar === BYTES) return !(type?.case === "bytes" && type.value.maxLen > 0n);
  return false;
}

/** Every field of a request says whether it is required (AIP-203); one of a oneof never is. */
function behaviorProblems(field: DescField): string[] {
  const said = field.oneof || getOption(field, field_behavior).length > 0;
  return said ? [] : [`${field.parent.typeName}.${field.name}: has no field_behavior`];
}

/** These messages and all of ours that they hold. */
function reachable(messages: DescMessage[], found = new Set<DescMessage>()): Set<DescMessage> {
  for (const message of messages) {
    if (found.has(message) || !message.typeName.startsWith("emporium.")) continue;
    found.add(message);
    reachable(
      message.fields.map((field) => field.message).filter((held) => held !== undefined),
      found,
    );
  }
  return found;
}
