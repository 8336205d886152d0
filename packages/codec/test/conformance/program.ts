// The program that protobuf's conformance runner talks to: requests on stdin, answers on stdout,
// each after its length in four bytes. The types are in the descriptor set that TYPES names.
import { readFileSync, readSync, writeSync } from "node:fs";
import {
  createFileRegistry,
  fromBinary,
  fromJsonString,
  toJsonString,
  type DescMessage,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { decode, encode } from "../../src/index.js";

const JSON_IGNORE_UNKNOWN = 3;
const [PROTOBUF, JSON_TEXT] = [1, 2];

const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(process.env["TYPES"]!)),
);
const requestType = registry.getMessage("conformance.ConformanceRequest")!;
const responseType = registry.getMessage("conformance.ConformanceResponse")!;

interface Request {
  payload: { case: string; value: unknown };
  requestedOutputFormat: number;
  messageType: string;
  testCategory: number;
}

/** The `result` of the response. */
function answer(request: Request): { case: string; value: unknown } {
  const type = registry.getMessage(request.messageType);
  if (!type) return { case: "skipped", value: `no type ${request.messageType}` };
  if (![PROTOBUF, JSON_TEXT].includes(request.requestedOutputFormat)) {
    return { case: "skipped", value: "no such output" };
  }
  let message;
  try {
    message = read(type, request);
  } catch (error) {
    return { case: "parseError", value: String(error) };
  }
  if (!message) return { case: "skipped", value: "no such input" };
  try {
    return request.requestedOutputFormat === PROTOBUF
      ? { case: "protobufPayload", value: encode(type, message) }
      : { case: "jsonPayload", value: toJsonString(type, message, { registry }) };
  } catch (error) {
    return { case: "serializeError", value: String(error) };
  }
}

function read(type: DescMessage, { payload, testCategory }: Request) {
  if (payload.case === "protobufPayload") return decode(type, payload.value as Uint8Array);
  if (payload.case !== "jsonPayload") return undefined;
  const ignoreUnknownFields = testCategory === JSON_IGNORE_UNKNOWN;
  return fromJsonString(type, payload.value as string, { registry, ignoreUnknownFields });
}

/** Reads so many bytes; undefined where the runner is done. */
function take(length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  for (let have = 0; have < length;) {
    const more = readSync(0, bytes, have, length - have, null);
    if (more === 0) return undefined;
    have += more;
  }
  return bytes;
}

for (let head = take(4); head; head = take(4)) {
  const request = decode(requestType, take(head.readUInt32LE())!) as unknown as Request;
  const response = { $typeName: responseType.typeName, result: answer(request) };
  const bytes = encode(responseType, response);
  const framed = Buffer.alloc(4 + bytes.length);
  framed.writeUInt32LE(bytes.length);
  bytes.copy(framed, 4);
  for (let sent = 0; sent < framed.length;) sent += writeSync(1, framed, sent);
}
