import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { alone, isJson, tagOf, type Parts } from "./parts.js";
import { DELIMITED, END_GROUP, START_GROUP, readLength, scalarOf, type Scalar } from "./scalars.js";

/**
 * The source of `read(m, buf, pos, end, depth, group)`, which adds to the message `m` what stands
 * from `pos` to `end`, or to the tag `group` where that is not 0, and returns the position behind.
 */
export function readerSource(desc: DescMessage, parts: Parts): string {
  const known = parts.constant(new Set(desc.fields.map((field) => field.number)));
  return `return function read(m, buf, pos, end, depth, group) {
  if (depth > 100) throw odd;
  let n, unknown, tag = 0;
  ${parts.bounds ? countersOf(desc) : ""}
  while (pos < end) {
    const start = pos;
    tag = buf[pos++];
    if (tag > 127) { pos = readTag(buf, start); tag = words[0] >>> 0; }
    switch (tag) {
${desc.fields.map((field) => readField(field, parts)).join("\n")}
    default:
      if (tag < 8) throw odd;
      if (tag === group) break;
      if (${known}.has(tag >>> 3)) throw odd;
      n = pos;
      pos = skip(buf, pos, tag, 100 - depth);
      ${parts.bounds ? COUNT : ""}
      unknown ??= m.$unknown ?? [];
      unknown.push({ no: tag >>> 3, wireType: tag & 7, data: input.bytes.subarray(n, pos) });
    }
    if (tag === group) break;
  }
  if (group === 0 ? pos !== end : tag !== group) throw odd;
  if (unknown !== undefined) m.$unknown = unknown;
  return pos;
};`;
}

/** A map does not know how many entries it was read from. */
function countersOf({ fields }: DescMessage): string {
  const maps = fields.filter(({ fieldKind }) => fieldKind === "map");
  return maps.map(({ number }) => `let entries${number} = -1;`).join(" ");
}

const COUNT = "if (--input.elementsLeft < 0) throw excess;";

/** Refuses one more item of a list, whose length is `length`, or entry of a map. */
function countItem(field: DescField, length: string, { bounds }: Parts): string {
  const items = bounds?.of(field).items;
  const most = items === undefined ? "" : `if (${length} >= ${items}) throw excess; `;
  return bounds ? most + COUNT : "";
}

/** Reads a scalar into `v`; refuses a text or bytes that are longer than their bound. */
function readScalar(scalar: Scalar, bytes?: number): string {
  if (scalar.wireType !== DELIMITED) return scalar.read;
  const within = bytes === undefined ? "" : `if (n > ${bytes}) throw excess;`;
  return `${readLength} ${within} ${scalar.read}`;
}

function on(number: number, wireType: number, statements: string): string {
  return `    case ${tagOf(number, wireType)}: { ${statements} break; }`;
}

function readField(field: DescField, parts: Parts): string {
  if (isJson(field)) {
    const adopt = `adopt(${parts.constant(alone(field))}, m, start, pos, depth, ${parts.constant(parts.bounds)});`;
    return on(field.number, DELIMITED, `${readLength} pos += n; ${adopt}`);
  }
  if (field.fieldKind === "map") return readMap(field, parts);
  if (field.message) return readMessage(field, parts);
  const name = `m.${field.localName}`;
  const scalar = scalarOf(field.scalar);
  const { wireType } = scalar;
  const read = readScalar(scalar, parts.bounds?.of(field).bytes);
  const verify = `const verify = ${field.utf8Validation};`;
  const convert = "longAsString" in field && field.longAsString ? "v = String(v);" : "";
  const value = `let v; ${verify} ${read} ${convert}`;
  if (field.fieldKind === "list") {
    const count = countItem(field, `${name}.length`, parts);
    const one = on(field.number, wireType, `${count} ${value} ${name}.push(v);`);
    if (wireType === DELIMITED) return one;
    const all = `const list = ${name}, stop = pos + n; while (pos < stop) { ${countItem(field, "list.length", parts)} ${value} list.push(v); } if (pos !== stop) throw odd;`;
    return `${one}\n${on(field.number, DELIMITED, `${readLength} ${all}`)}`;
  }
  return on(field.number, wireType, `${value} ${isKnown(field, parts)} ${set(field, "v")}`);
}

/** A closed enum keeps what it does not know with the unknown fields. */
function isKnown(field: DescField, { constant }: Parts): string {
  if (!field.enum || field.enum.open) return "";
  return `if (!${constant(new Set(field.enum.values.map((value) => value.number)))}.has(v)) throw odd;`;
}

function set(field: DescField & { fieldKind: "scalar" | "enum" | "message" }, value: string) {
  return field.oneof
    ? `m.${field.oneof.localName} = { case: "${field.localName}", value: ${value} };`
    : `m.${field.localName} = ${value};`;
}

function readMessage(
  field: DescField & { fieldKind: "list" | "message"; message: DescMessage },
  parts: Parts,
): string {
  const type = parts.codec(field.message);
  const blank = `new ${type}.Blank()`;
  const [wireType, into] = field.delimitedEncoding
    ? [START_GROUP, `end, depth + 1, ${tagOf(field.number, END_GROUP)}`]
    : [DELIMITED, "pos + n, depth + 1, 0"];
  const read = `${field.delimitedEncoding ? "" : readLength} pos = ${type}.read(child, buf, pos, ${into});`;
  const name = `m.${field.localName}`;
  if (field.fieldKind === "list") {
    const count = countItem(field, `${name}.length`, parts);
    const one = `const child = ${blank}; ${read} ${name}.push(child);`;
    return on(field.number, wireType, `${count} ${one}`);
  }
  if (field.oneof) {
    const { localName } = field.oneof;
    const old = `m.${localName}.case === "${field.localName}" ? m.${localName}.value : undefined`;
    return on(
      field.number,
      wireType,
      `let child = ${old}; if (child === undefined) child = ${blank}; ${read} ${set(field, "child")}`,
    );
  }
  if (isWrapperDesc(field.message)) {
    // A wrapper is kept as the value inside of it.
    const inner = `child.${field.message.fields[0].localName}`;
    const old = `if (${name} !== undefined) ${inner} = ${name};`;
    return on(field.number, wireType, `const child = ${blank}; ${old} ${read} ${name} = ${inner};`);
  }
  return on(
    field.number,
    wireType,
    `let child = ${name}; if (child === undefined) child = ${blank}; ${read} ${name} = child;`,
  );
}

function readMap(field: DescField & { fieldKind: "map" }, parts: Parts): string {
  const key = scalarOf(field.mapKey);
  const scalar = scalarOf(field.scalar);
  let wireType = scalar.wireType;
  let read = `let v; ${readScalar(scalar)} value = v;`;
  let absent = field.enum ? String(field.enum.values[0]!.number) : scalar.zero;
  if (field.message) {
    const type = parts.codec(field.message);
    wireType = DELIMITED;
    absent = `new ${type}.Blank()`;
    read = `if (value === undefined) value = ${absent}; ${readLength} pos = ${type}.read(value, buf, pos, pos + n, depth + 1, 0);`;
  }
  return on(
    field.number,
    DELIMITED,
    `${countItem(field, `++entries${field.number}`, parts)} ${readLength} const verify = ${field.utf8Validation}, stop = pos + n; let key = ${key.zero}, value;
      for (const end = stop; pos < end;) switch (buf[pos++]) {
      case ${tagOf(1, key.wireType)}: { let v; ${readScalar(key)} key = v; break; }
      case ${tagOf(2, wireType)}: { ${read} break; }
      default: throw odd;
      }
      if (pos !== stop || key === "__proto__") throw odd;
      m.${field.localName}[key] = value === undefined ? ${absent} : value;`,
  );
}
