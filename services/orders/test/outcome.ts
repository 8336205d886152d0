import {
  BadRequestSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
} from "@emporium/contracts/google/rpc";
import { Code, ConnectError, findDetail, reasonOf } from "@emporium/grpc";

/** How a call ended, in the words of the contract. */
export interface Outcome {
  /** `OK`, or the name of the reason. */
  reason: string;
  code?: string;
  /** Fields, subjects or the name of the resource that the detail names. */
  about?: string[];
}

export const OK: Outcome = { reason: "OK" };

/**
 * Awaits the call's outcome. Rejects when the call failed with something that is no outcome of the
 * contract.
 */
export async function outcomeOf(call: Promise<unknown>): Promise<Outcome> {
  try {
    await call;
    return OK;
  } catch (error) {
    const found = reasonOf(error);
    if (!found || !(error instanceof ConnectError)) throw error;
    return { reason: found.reason, code: Code[error.code], about: subjectsOf(error) };
  }
}

function subjectsOf(error: ConnectError): string[] {
  const resource = findDetail(error, ResourceInfoSchema);
  const violations = findDetail(error, PreconditionFailureSchema)?.violations ?? [];
  const fields = findDetail(error, BadRequestSchema)?.fieldViolations ?? [];
  return [
    ...(resource ? [resource.resourceName] : []),
    ...violations.map(({ subject }) => subject),
    ...fields.map(({ field }) => field),
  ];
}
