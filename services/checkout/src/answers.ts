import { Code, ConnectError, reasonOf } from "@emporium/grpc";

/**
 * Codes by which a service answers a request. All others, also INTERNAL and PERMISSION_DENIED, leave
 * open what became of it, or of an attempt before.
 */
const ANSWERS = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.OutOfRange,
]);

/** Whether an error says that the request was understood and refused. */
export function isAnswer(error: unknown): boolean {
  return error instanceof ConnectError && ANSWERS.has(error.code);
}

const NOT_HELD = ["RESERVATION_NOT_FOUND", "RESERVATION_NOT_HELD", "RESERVATION_EXPIRED"];

/**
 * Whether a reservation is not committed and never will be. By its reasons alone, since a guess
 * would not do: an attempt before may have sold it.
 */
export function isNotHeld(error: unknown): boolean {
  return NOT_HELD.includes(reasonOf(error)?.reason ?? "");
}

/** Whether time was over. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}
