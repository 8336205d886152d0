import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  access,
  type AccessPolicy,
  call,
  Compression,
  failures,
} from "@emporium/contracts/options/v1";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";

/** What the contract says about one method, in the units that the engine works in. */
export interface MethodPolicy {
  /** gRPC path, `/package.Service/Method`. */
  readonly path: string;
  /** Deadline that a client sets by itself, in milliseconds; absent for foreign contracts. */
  readonly deadlineMs: number | undefined;
  /** Longest that a server works on one call, in milliseconds; `Infinity` for foreign contracts. */
  readonly longestMs: number;
  /** Most messages a client may send in one call. */
  readonly maxRequests: number;
  /** Most messages a server sends in one call. */
  readonly maxResponses: number;
  /** Whether responses are worth compressing. */
  readonly gzip: boolean;
  /** Whether a failed call may be sent again. */
  readonly retryable: boolean;
  /** Milliseconds after which a second server is asked as well; absent means never. */
  readonly hedgingDelayMs: number | undefined;
  /** Who may call; absent means nobody (see `@emporium/identity`). */
  readonly access: AccessPolicy | undefined;
  /** Reasons of the service's own that a call may fail with. */
  readonly reasons: readonly string[];
}

const policies = new WeakMap<DescMethod, MethodPolicy>();

/**
 * Reads the policy of a method from its options (`emporium/options/v1/options.proto`).
 *
 * Methods of foreign contracts (health, reflection) have no options: no deadline, no limits, never
 * repeated.
 *
 * @example
 * policyOf(InventoryService.method.getProduct).deadlineMs; // 2000
 */
export function policyOf(method: DescMethod): MethodPolicy {
  let policy = policies.get(method);
  if (!policy) policies.set(method, (policy = readPolicy(method)));
  return policy;
}

function readPolicy(method: DescMethod): MethodPolicy {
  const said = hasOption(method, call) ? getOption(method, call) : undefined;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    deadlineMs: said?.deadline && durationMs(said.deadline),
    longestMs: said?.longest ? durationMs(said.longest) : Infinity,
    maxRequests: said ? Number(said.maxRequests) : Infinity,
    maxResponses: said ? Number(said.maxResponses) : Infinity,
    gzip: said?.compression === Compression.GZIP,
    retryable:
      method.idempotency === Idempotency.NO_SIDE_EFFECTS ||
      method.idempotency === Idempotency.IDEMPOTENT,
    hedgingDelayMs: said?.hedgingDelay && durationMs(said.hedgingDelay),
    access: hasOption(method, access) ? getOption(method, access) : undefined,
    reasons: getOption(method, failures).reasons,
  };
}
