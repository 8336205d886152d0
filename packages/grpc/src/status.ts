import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "@emporium/contracts/google/rpc";
import { Metadata, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { toHeaders, toMetadata } from "./metadata.js";

/** Trailer that carries `google.rpc.Status` with the details of an error. */
const DETAILS = "grpc-status-details-bin";

/** Most characters of an error's text. Together with the details it must stay under 8 KiB, encoded. */
const MOST_TEXT = 500;

/** Most bytes of all details; what comes after is left out. `ErrorInfo` comes first. */
const MOST_DETAILS = 4096;

/** What the wire says of an error: code, message, the details as a trailer, and other trailers. */
export function toStatus(error: ConnectError, trailers?: Headers): StatusObject {
  const metadata = toMetadata(error.metadata, trailers && toMetadata(trailers));
  const text =
    error.rawMessage.length > MOST_TEXT
      ? `${error.rawMessage.slice(0, MOST_TEXT)}…`
      : error.rawMessage;
  if (error.details.length > 0) {
    let room = MOST_DETAILS;
    const details = error.details
      .map(packDetail)
      .filter(({ value }) => (room -= value.byteLength) >= 0);
    const status = create(StatusSchema, { code: error.code, message: text, details });
    metadata.set(DETAILS, Buffer.from(toBinary(StatusSchema, status)));
  }
  return { code: error.code as number, details: text, metadata };
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
  const result = new ConnectError(details, code as number, toHeaders(trailers));
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
