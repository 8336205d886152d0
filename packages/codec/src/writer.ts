import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { alone, isJson, tagOf, IMPLICIT, REQUIRED, type Parts } from "./parts.js";
import { DELIMITED, END_GROUP, START_GROUP, scalarOf } from "./scalars.js";

/**
 * The source of `write(m, buf, pos)`, which writes the message `m` from `pos` on and returns the
 * position behind it. Fields go by number, as in protobuf-es, then what was unknown.
 */
export function writerSource(desc: DescMessage, parts: Parts): string {
  const fields = desc.fields.toSorted((a, b) => a.number - b.number);
  return `return function write(m, buf, pos) {
  if (m.$typeName !== ${JSON.stringify(desc.typeName)}) throw odd;
  if (Object.getPrototypeOf(m) !== ${parts.constant(Object.getPrototypeOf(parts.blank))}) throw odd;
  let v, list;
  ${fields.map((field) => writeField(field, parts)).join("\n  ")}
  list = m.$unknown;
  if (list !== undefined) for (const { no, wireType, data } of list) {
    if (!(data instanceof Uint8Array)) throw odd;
    pos = writeRaw(data, buf, writeVarint(((no << 3) | wireType) >>> 0, buf, pos));
  }
  return pos;
};`;
}

function writeField(field: DescField, parts: Parts): string {
  const name = `m.${field.localName}`;
  if (isJson(field)) return writeJson(field, parts);
  if (field.fieldKind === "map") return writeMap(field, parts);
  if (field.fieldKind === "list") {
    if (!field.message && field.packed) return writePacked(field);
    return `list = ${name};
  for (let i = 0; i < list.length; i++) { v = list[i]; ${writeValue(field, parts)} }`;
  }
  if (field.oneof) {
    const oneof = `m.${field.oneof.localName}`;
    return `if (${oneof}.case === "${field.localName}") { v = ${oneof}.value; ${writeValue(field, parts)} }`;
  }
  const otherwise = field.presence === REQUIRED ? " else throw odd;" : "";
  return `v = ${name};
  if (${isSet(field, parts)}) { ${writeValue(field, parts)} }${otherwise}`;
}

/** Whether the field, whose value is in `v`, is set. */
function isSet(field: DescField, { blank, constant }: Parts): string {
  if (field.presence === IMPLICIT) {
    return field.enum ? `v !== ${field.enum.values[0]!.number}` : scalarOf(field.scalar).isSet;
  }
  // The default of a field that knows whether it is set stands on the prototype.
  if (!(field.localName in blank)) return "v !== undefined";
  const preset = constant(Reflect.get(blank, field.localName));
  return `v !== undefined && (v !== ${preset} || Object.hasOwn(m, "${field.localName}"))`;
}

function writeTag(number: number, wireType: number): string {
  let rest = tagOf(number, wireType);
  let source = "";
  for (; rest > 127; rest >>>= 7) source += `buf[pos++] = ${(rest & 127) | 128}; `;
  return `${source}buf[pos++] = ${rest};`;
}

function delimited(number: number, statements: string, at = "at"): string {
  return `${writeTag(number, DELIMITED)} const ${at} = pos++; ${statements} pos = writeLength(buf, ${at}, pos);`;
}

/** Writes the tag and the value `v`, whose field has this number; map values have 2. */
function writeValue(field: DescField, parts: Parts, number = field.number): string {
  if (!field.message) {
    const scalar = scalarOf(field.scalar);
    return `${writeTag(number, scalar.wireType)} ${scalar.write}`;
  }
  if (field.fieldKind === "message" && !field.oneof && isWrapperDesc(field.message)) {
    // A wrapper is kept as the value inside of it.
    const inner = field.message.fields[0]!;
    return delimited(number, `if (${isSet(inner, parts)}) { ${writeValue(inner, parts)} }`);
  }
  const write = `pos = ${parts.codec(field.message)}.write(v, buf, pos);`;
  if (field.fieldKind === "map" || !field.delimitedEncoding) return delimited(number, write);
  return `${writeTag(number, START_GROUP)} ${write} ${writeTag(number, END_GROUP)}`;
}

function writePacked(field: DescField): string {
  const { write } = scalarOf(field.scalar);
  const items = `for (let i = 0; i < list.length; i++) { v = list[i]; ${write} }`;
  return `list = m.${field.localName};
  if (list.length != 0) { ${delimited(field.number, items)} }`;
}

function writeMap(field: DescField & { fieldKind: "map" }, parts: Parts): string {
  const key = scalarOf(field.mapKey);
  const entry = `v = ${mapKey(field.mapKey)}; ${writeTag(1, key.wireType)} ${key.write}
    v = list[key]; ${writeValue(field, parts, 2)}`;
  return `list = m.${field.localName};
  for (const key of Object.keys(list)) {
    ${delimited(field.number, entry, "start")}
  }`;
}

/** The key of a map entry in its own type: objects have texts only. */
function mapKey(type: ScalarType): string {
  if (type === ScalarType.BOOL) return `key === "true" ? true : key === "false" ? false : key`;
  return scalarOf(type).zero === "0" ? "Number.parseInt(key)" : "key";
}

/** Has protobuf-es write the field, as if the message had no other. */
function writeJson(field: DescField, { constant }: Parts): string {
  return `pos = writeRaw(leave(${constant(alone(field))}, m), buf, pos);`;
}
