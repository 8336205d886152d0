import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import { Catch, type ExceptionFilter, HttpException } from "@nestjs/common";
import { GrpcException, RpcException } from "@nestjs/microservices";
import { type Observable, throwError } from "rxjs";
import { engineFailure } from "./failure.js";
import { fromStatus, isServiceError } from "./status.js";

/** Where the engine tells of errors that callers must not see. */
export interface ErrorLog {
  error(fields: Record<string, unknown>, message: string): void;
}

/** Writes a line; a log that throws loses the line and nothing else. */
export function logSafely(log: ErrorLog, fields: Record<string, unknown>, message: string): void {
  try {
    log.error(fields, message);
  } catch {
    // There is nowhere left to report it.
  }
}

/** Tells whether an error says that something which the service needs, its database, is away. */
export type AwayCheck = (error: unknown) => boolean;

/** Seconds after which a caller may ask again for what could not be had because something is away. */
const AWAY_RETRY_S = 1n;

/** HTTP status to gRPC code, after `google.rpc.Code`'s own comments. */
const httpCodes: Record<number, Code> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  405: Code.Unimplemented,
  408: Code.DeadlineExceeded,
  409: Code.Aborted,
  410: Code.NotFound,
  412: Code.FailedPrecondition,
  413: Code.ResourceExhausted,
  416: Code.OutOfRange,
  422: Code.InvalidArgument,
  429: Code.ResourceExhausted,
  499: Code.Canceled,
  501: Code.Unimplemented,
  503: Code.Unavailable,
  504: Code.DeadlineExceeded,
};

/**
 * Turns whatever was thrown into the error that the caller sees.
 *
 * - a `ConnectError` (also `failure(...)`) as it is
 * - an error of a call to another service: that service's code and details
 * - Nest's `HttpException`, `GrpcException` and `RpcException`: the matching code
 * - what `isAway` knows: UNAVAILABLE with `google.rpc.RetryInfo`, the error itself in the log
 * - an abort: CANCELLED, or DEADLINE_EXCEEDED for a timeout
 * - anything else: INTERNAL with an id; the text goes to the log under the same id and nowhere else
 *
 * @example
 * toConnectError(new NotFoundException("No such order"), log).code; // Code.NotFound
 */
export function toConnectError(error: unknown, log: ErrorLog, isAway?: AwayCheck): ConnectError {
  if (error instanceof ConnectError)
    return saysNothing(error) && error.details.length === 0 ? internal(error, log) : error;
  if (isServiceError(error)) return fromStatus(error);
  if (error instanceof HttpException) {
    const code = httpCodes[error.getStatus()];
    return code ? new ConnectError(error.message, code) : internal(error, log);
  }
  if (error instanceof GrpcException) return fromGrpcException(error, log);
  if (error instanceof RpcException) return fromRpcException(error, log);
  if (isAway?.(error)) return dependencyAway(error, log);
  if (error instanceof Error && error.name === "AbortError")
    return new ConnectError("The call was cancelled", Code.Canceled);
  if (error instanceof Error && error.name === "TimeoutError")
    return new ConnectError("Deadline exceeded", Code.DeadlineExceeded);
  return internal(error, log);
}

/** Codes for what nobody foresaw: their texts are not meant for callers. */
function saysNothing({ code }: ConnectError): boolean {
  return code === Code.Internal || code === Code.Unknown;
}

function fromGrpcException(error: GrpcException, log: ErrorLog): ConnectError {
  const code = error.getCode() as number;
  return code === 2 || code === 13 ? internal(error, log) : new ConnectError(error.message, code);
}

/** What Nest's own guard consumer throws when a guard says no. */
const FORBIDDEN = "Forbidden resource";

function fromRpcException(error: RpcException, log: ErrorLog): ConnectError {
  const said = error.getError();
  if (said === FORBIDDEN) return engineFailure(EngineReason.FORBIDDEN, FORBIDDEN);
  const code = typeof said === "object" && "code" in said ? said.code : undefined;
  return typeof code === "number" && code in Code
    ? new ConnectError(error.message, code)
    : internal(error, log);
}

function dependencyAway(error: unknown, log: ErrorLog): ConnectError {
  logSafely(log, { err: error }, "A call failed because something that it needs is away");
  return engineFailure(EngineReason.DEPENDENCY_AWAY, "Something that is needed is away", {
    retryDelay: { seconds: AWAY_RETRY_S },
  });
}

function internal(error: unknown, log: ErrorLog): ConnectError {
  const errorId = randomUUID();
  logSafely(
    log,
    { error_id: errorId, err: error },
    "A call failed for a reason that callers do not see",
  );
  return engineFailure(EngineReason.INTERNAL, `Internal error ${errorId}`, undefined, {
    error_id: errorId,
  });
}

/**
 * Carries what was thrown through Nest's pipeline to the engine. It catches what no filter of the
 * application caught; `GrpcModule.around` registers it as the last one in line.
 */
@Catch()
export class GrpcExceptionFilter implements ExceptionFilter {
  catch(exception: unknown): Observable<never> {
    return throwError(() => exception);
  }
}
