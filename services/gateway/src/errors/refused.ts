// What the gateway itself refuses, as the same kind of error that a service refuses with.
import { Code, ConnectError } from "@connectrpc/connect";
import { HttpException } from "@nestjs/common";

const codes: Record<number, Code> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  405: Code.Unimplemented,
  413: Code.ResourceExhausted,
  414: Code.InvalidArgument,
  415: Code.InvalidArgument,
  429: Code.ResourceExhausted,
  431: Code.ResourceExhausted,
  503: Code.Unavailable,
};

/** The error and the HTTP status for what Fastify or a plugin says; anything unknown is INTERNAL. */
export function refused(error: unknown): [ConnectError, number] {
  const { message = "" } = error as { message?: string };
  const statusCode = statusOf(error);
  const code = codes[statusCode];
  if (code === undefined) return [new ConnectError("Something is broken", Code.Internal), 500];
  return [new ConnectError(message, code), statusCode];
}

function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  return (error as { statusCode?: number }).statusCode ?? 500;
}
