// Errors as problem details (RFC 9457) that carry google.rpc.Status.
import {
  create,
  createRegistry,
  type JsonObject,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import { anyPack, type Any, AnySchema, durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { file_google_rpc_error_details, RetryInfoSchema } from "@emporium/contracts/google/rpc";

/** An error as HTTP sends it. */
export interface Problem {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** An object of `application/problem+json`. */
  readonly body: JsonObject;
}

const registry = createRegistry(file_google_rpc_error_details);

/** The mapping of google/rpc/code.proto. */
const httpStatuses: Record<Code, number> = {
  [Code.Canceled]: 499,
  [Code.Unknown]: 500,
  [Code.InvalidArgument]: 400,
  [Code.DeadlineExceeded]: 504,
  [Code.NotFound]: 404,
  [Code.AlreadyExists]: 409,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
  [Code.FailedPrecondition]: 400,
  [Code.Aborted]: 409,
  [Code.OutOfRange]: 400,
  [Code.Unimplemented]: 501,
  [Code.Internal]: 500,
  [Code.Unavailable]: 503,
  [Code.DataLoss]: 500,
  [Code.Unauthenticated]: 401,
};

/** `google.rpc.Status` in ProtoJSON; a detail of an unknown type is told by its type and bytes. */
export function statusJson(error: ConnectError): JsonObject {
  return { code: error.code, message: error.rawMessage, details: error.details.map(detailJson) };
}

/**
 * The problem details of an error. `status` differs from the code's own where HTTP is more precise.
 *
 * @example
 * problemOf(new ConnectError("No such order", Code.NotFound)).status; // 404
 */
export function problemOf(error: ConnectError, status = httpStatuses[error.code]): Problem {
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  const [retry] = error.findDetails(RetryInfoSchema);
  if (retry?.retryDelay)
    headers["retry-after"] = String(Math.ceil(durationMs(retry.retryDelay) / 1000));
  const title = Code[error.code].replaceAll(/(?<=[a-z])([A-Z])/g, " $1");
  const rpcStatus = statusJson(error);
  return {
    status,
    headers,
    body: { type: "about:blank", title, status, detail: error.rawMessage, rpcStatus },
  };
}

function detailJson(detail: ConnectError["details"][number]): JsonValue {
  const any = packed(detail);
  try {
    return toJson(AnySchema, any, { registry });
  } catch {
    return { "@type": any.typeUrl, value: Buffer.from(any.value).toString("base64") };
  }
}

function packed(detail: ConnectError["details"][number]): Any {
  if ("desc" in detail) return anyPack(detail.desc, create(detail.desc, detail.value as never));
  const { type, value } = detail;
  return create(AnySchema, { typeUrl: `type.googleapis.com/${type}`, value });
}
