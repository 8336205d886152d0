import {
  type DescEnum,
  type DescMessage,
  fromBinary,
  getOption,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "@emporium/contracts/google/rpc";
import {
  Detail,
  EngineReasonSchema,
  type EngineReason,
  error_domain,
  reason as reasonOption,
} from "@emporium/contracts/options/v1";

/** Fields of the detail that the contract names for a reason. */
export type DetailInit =
  | MessageInitShape<typeof BadRequestSchema>
  | MessageInitShape<typeof PreconditionFailureSchema>
  | MessageInitShape<typeof ResourceInfoSchema>
  | MessageInitShape<typeof RetryInfoSchema>
  | MessageInitShape<typeof QuotaFailureSchema>;

const detailSchemas: Partial<Record<Detail, DescMessage>> = {
  [Detail.BAD_REQUEST]: BadRequestSchema,
  [Detail.PRECONDITION_FAILURE]: PreconditionFailureSchema,
  [Detail.RESOURCE_INFO]: ResourceInfoSchema,
  [Detail.RETRY_INFO]: RetryInfoSchema,
  [Detail.QUOTA_FAILURE]: QuotaFailureSchema,
};

/** Makes the error that a handler throws for one of the contract's reasons. */
export type Failure<Reason extends number> = (
  reason: Reason,
  message: string,
  detail?: DetailInit,
  metadata?: Record<string, string>,
) => ConnectError;

/**
 * Binds a `Reason` enum of the contract to the function that makes its errors.
 *
 * The contract says which status code and which detail message belong to a reason; the error also
 * carries `google.rpc.ErrorInfo` with the reason's name and the enum's domain (AIP-193). Throws a
 * plain `Error` when the detail is missing or the reason is not of this enum: that is a mistake in
 * the code, and arrives as INTERNAL.
 *
 * @example
 * export const failure = createFailure(ReasonSchema);
 * throw failure(Reason.OUT_OF_STOCK, "Too few units are left", {
 *   violations: [{ type: "STOCK", subject: "85123A", description: "3 wanted, 1 available" }],
 * });
 */
export function createFailure<Reason extends number = number>(schema: DescEnum): Failure<Reason> {
  const domain = getOption(schema, error_domain);
  return (reason, message, detail, metadata = {}) => {
    const value = schema.value[reason];
    const policy = value && getOption(value, reasonOption);
    if (!value || !policy?.code) throw new Error(`${schema.typeName} has no reason ${reason}`);
    const detailSchema = detailSchemas[policy.detail];
    if (detailSchema && !detail) throw new Error(`${value.name} takes a ${detailSchema.typeName}`);
    const error = new ConnectError(message, policy.code as number);
    error.details.push({
      desc: ErrorInfoSchema,
      value: { reason: shortName(schema, value.name), domain, metadata },
    });
    if (detailSchema) error.details.push({ desc: detailSchema, value: detail as never });
    return error;
  };
}

/**
 * Makes errors for the reasons that any method may fail with (`EngineReason`).
 *
 * @example
 * throw engineFailure(EngineReason.INVALID_PAGE_TOKEN, "The page token is not ours", {
 *   fieldViolations: [{ field: "page_token", description: "not a token of ListProducts" }],
 * });
 */
export const engineFailure: Failure<EngineReason> = createFailure<EngineReason>(EngineReasonSchema);

/**
 * Name of an enum value without the prefix that proto style asks for.
 *
 * @example
 * shortName(ReasonSchema, "REASON_OUT_OF_STOCK"); // "OUT_OF_STOCK"
 */
export function shortName(schema: DescEnum, valueName: string): string {
  return schema.sharedPrefix ? valueName.slice(schema.sharedPrefix.length) : valueName;
}

/**
 * Finds a detail message in an error, whether it came over the wire or was made in this process.
 *
 * @example
 * findDetail(error, BadRequestSchema)?.fieldViolations[0]?.field; // "lines[2].sku"
 */
export function findDetail<Desc extends DescMessage>(
  error: unknown,
  schema: Desc,
): MessageShape<Desc> | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  for (const detail of error.details) {
    if ("desc" in detail && detail.desc.typeName === schema.typeName)
      return error.findDetails(schema)[0];
    if ("type" in detail && detail.type === schema.typeName)
      return fromBinary(schema, detail.value);
  }
  return undefined;
}

/**
 * Tells which reason of which domain an error carries; `undefined` when it carries none.
 *
 * @example
 * if (reasonOf(error)?.reason === "OUT_OF_STOCK") offerLess();
 */
export function reasonOf(
  error: unknown,
): { reason: string; domain: string; metadata: Record<string, string> } | undefined {
  const info = findDetail(error, ErrorInfoSchema);
  return info && { reason: info.reason, domain: info.domain, metadata: info.metadata };
}
