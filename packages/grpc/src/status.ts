import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "@emporium/contracts/google/rpc";
import { Metadata, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { toHeaders, toSendableMetadata } from "./metadata.js";
import { fitText } from "./wire/status-text.js";

/** Trailer that carries `google.rpc.Status` with the details of an error. */
const DETAILS = "grpc-status-details-bin";

/*
 * All trailers together stay under 8 KiB as they go over the wire, which is what clients accept by
 * default: grpcio answers RESOURCE_EXHAUSTED at random for more. Details are sent as base64.
 */
const MAX_TEXT_BYTES = 1024;
const MAX_DETAILS_BYTES = 4096;
const MAX_METADATA_BYTES = 1024;

/** Errors that came from another service, whose metadata is between that service and this one. */
const received = new WeakSet<ConnectError>();

/**
 * What the wire says of an error: code, message, the details as a trailer, and other trailers. Never
 * throws: what cannot be sent is left out, and `onDropped` is called with its name. Details beyond
 * 4,096 bytes are left out; `ErrorInfo` comes first.
 */
export function toStatus(
  error: ConnectError,
  trailers?: Headers,
  onDropped: (name: string) => void = () => {},
): StatusObject {
  const limits = { maxBytes: MAX_METADATA_BYTES, onDropped };
  const metadata = toSendableMetadata(trailers ?? new Headers(), limits);
  if (!received.has(error)) toSendableMetadata(error.metadata, limits, metadata);
  const code = isErrorCode(error.code) ? error.code : Code.Unknown;
  const text = fitText(error.rawMessage, MAX_TEXT_BYTES);
  if (error.details.length > 0)
    metadata.set(DETAILS, packDetails(code, text, error.details, onDropped));
  return { code: code as number, details: text, metadata };
}

/** The 16 codes of gRPC that say that a call failed. */
function isErrorCode(code: number): code is Code {
  return Number.isInteger(code) && code >= 1 && code <= 16;
}

function packDetails(
  code: Code,
  message: string,
  details: ConnectError["details"],
  onDropped: (name: string) => void,
): Buffer {
  let room = MAX_DETAILS_BYTES;
  const packed = details.flatMap((detail) => {
    const type = "desc" in detail ? detail.desc.typeName : detail.type;
    try {
      const any = packDetail(detail);
      if ((room -= any.value.byteLength) >= 0) return any;
    } catch {
      // A message that cannot be serialized, such as one with a number out of range.
    }
    onDropped(type);
    return [];
  });
  const status = create(StatusSchema, { code, message, details: packed });
  return Buffer.from(toBinary(StatusSchema, status));
}

function packDetail(detail: ConnectError["details"][number]): Any {
  if ("desc" in detail) return anyPack(detail.desc, create(detail.desc, detail.value as never));
  return create(AnySchema, {
    typeUrl: `type.googleapis.com/${detail.type}`,
    value: detail.value,
  });
}

/**
 * The error that a client sees, with details and trailers of the status that came in, and with what
 * headers came before it.
 */
export function fromStatus(
  error: ServiceError | StatusObject,
  headers: Headers = new Headers(),
): ConnectError {
  const trailers = error.metadata ?? new Metadata();
  // grpc-js names neither code nor text where a message cannot be decompressed.
  const { code = Code.Internal, details = "" } = error as Partial<StatusObject>;
  const known = isErrorCode(code) ? code : Code.Unknown;
  const result = new ConnectError(details, known, toHeaders(trailers));
  received.add(result);
  headers.forEach((value, name) => result.metadata.append(name, value));
  const packed = trailers.get(DETAILS)[0];
  if (Buffer.isBuffer(packed)) {
    try {
      for (const { typeUrl, value } of fromBinary(StatusSchema, packed).details)
        result.details.push({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value });
    } catch {
      // A foreign server's broken details do not hide its status.
    }
  }
  result.metadata.delete(DETAILS);
  return result;
}

/** Whether an error is one of grpc-js's, which carry a numeric code and the trailers. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}
