// Makes the request message of an RPC from a path, a query and a body.
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { invalidField } from "./invalid-field.js";
import type { Route } from "./routes.js";

/** What an HTTP request says. */
export interface RequestParts {
  /** The variables of the path, by field path. */
  variables: Record<string, string>;
  query: URLSearchParams;
  /** The body as text; empty if there is none. */
  body: string;
}

/** Throws INVALID_ARGUMENT with `google.rpc.BadRequest` that names the field by its path. */
export function requestMessage(route: Route, parts: RequestParts): Message {
  const schema = route.rpc.input;
  const json = bodyJson(route, parts.body);
  if (route.body !== "*")
    for (const name of new Set(parts.query.keys()))
      setField(schema, json, name, parts.query.getAll(name));
  else if (parts.query.size > 0)
    throw invalidField([...parts.query.keys()][0]!, "the body is the whole request: no query");
  for (const [name, value] of Object.entries(parts.variables))
    setField(schema, json, name, [value]);
  return readMessage(schema, json);
}

function bodyJson({ body, rpc }: Route, text: string): JsonObject {
  if (body === "") {
    if (text !== "") throw invalidField("", "this method takes no body");
    return {};
  }
  const json = text === "" ? {} : parse(text);
  if (body !== "*") return { [fieldOf(rpc.input, body).jsonName]: json };
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw invalidField("", "the body must be a JSON object");
  return json;
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw invalidField("", `the body is not JSON: ${(error as Error).message}`);
  }
}

/** Sets a field by its path, `product.sku`, as ProtoJSON would have it. */
function setField(schema: DescMessage, json: JsonObject, path: string, texts: string[]): void {
  const [name = "", ...rest] = path.split(".");
  const field = fieldOf(schema, name, path);
  if (field.name !== field.jsonName && field.name in json) {
    json[field.jsonName] = json[field.name]!;
    delete json[field.name];
  }
  if (rest.length > 0) {
    if (field.fieldKind !== "message") throw invalidField(path, "no such field");
    const inner = (json[field.jsonName] ??= {}) as JsonObject;
    return setField(field.message, inner, rest.join("."), texts);
  }
  if (field.fieldKind === "list") json[field.jsonName] = texts.map((text) => value(field, text));
  else if (field.fieldKind === "map") throw invalidField(path, "a map cannot be in a query");
  else if (texts.length > 1) throw invalidField(path, "the field is given more than once");
  else json[field.jsonName] = value(field, texts[0]!);
}

function value(field: DescField, text: string): JsonValue {
  if (field.scalar === ScalarType.BOOL && (text === "true" || text === "false"))
    return text === "true";
  if (field.enum && /^-?\d+$/.test(text)) return Number(text);
  if (field.message?.typeName === "google.protobuf.FieldMask")
    return text.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (field.message?.typeName === "google.protobuf.BoolValue") return text === "true";
  return text;
}

function fieldOf(schema: DescMessage, name: string, path = name): DescField {
  const field = schema.fields.find((one) => one.name === name || one.jsonName === name);
  if (!field) throw invalidField(path, "no such field");
  return field;
}

function readMessage(schema: DescMessage, json: JsonObject): Message {
  try {
    return fromJson(schema, json);
  } catch (error) {
    throw located(schema, json, "") ?? invalidField("", (error as Error).message);
  }
}

/** Finds the innermost field that cannot be read. */
function located(schema: DescMessage, json: JsonValue, path: string): Error | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  for (const [key, inner] of Object.entries(json)) {
    const field = schema.fields.find((one) => one.name === key || one.jsonName === key);
    const at = path + (field?.name ?? key);
    if (!field) return invalidField(at, "no such field");
    const error = failure(schema, { [key]: inner });
    if (!error) continue;
    const found =
      field.message &&
      elements(inner).map(([index, one]) => located(field.message, one, `${at}${index}.`));
    return found?.find((one) => one !== undefined) ?? invalidField(at, error.message);
  }
  return undefined;
}

function elements(json: JsonValue): [string, JsonValue][] {
  return Array.isArray(json) ? json.map((one, index) => [`[${index}]`, one]) : [["", json]];
}

function failure(schema: DescMessage, json: JsonObject): Error | undefined {
  try {
    fromJson(schema, json);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
