// The error for a request that cannot be read.
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";

/** INVALID_ARGUMENT with `google.rpc.BadRequest`; `field` is a path such as `lines[0].sku`. */
export function invalidField(field: string, description: string): ConnectError {
  const message = field ? `${field}: ${description}` : description;
  const error = new ConnectError(message, Code.InvalidArgument);
  error.details.push({
    desc: BadRequestSchema,
    value: { fieldViolations: [{ field, description }] },
  });
  return error;
}
