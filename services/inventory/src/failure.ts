import type { ConnectError } from "@connectrpc/connect";
import { Reason, ReasonSchema } from "@emporium/contracts/inventory/v1";
import { createFailure } from "@emporium/grpc";

export const failure = createFailure<Reason>(ReasonSchema);

/**
 * Most violations that one failure lists. They travel in a trailer, base64-encoded, of which clients
 * take 8 KiB by default; the message still says how many there are.
 */
export const MOST_VIOLATIONS = 50;

/** PRODUCT_NOT_FOUND with one violation for each field that names a product which does not exist. */
export function productNotFound(unknown: { field: string; sku: string }[]): ConnectError {
  return failure(
    Reason.PRODUCT_NOT_FOUND,
    unknown.length === 1
      ? `There is no product ${unknown[0]?.sku}`
      : `${unknown.length} products do not exist`,
    {
      fieldViolations: unknown.slice(0, MOST_VIOLATIONS).map(({ field, sku }) => ({
        field,
        description: `there is no product ${sku}`,
      })),
    },
  );
}
