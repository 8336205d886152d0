import { EngineReason } from "@emporium/contracts/options/v1";
import { engineFailure } from "@emporium/grpc";
import { z } from "zod";

/** The contract's pattern of a SKU: Postgres takes no NUL, which JSON can name. */
const SKU = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;

const Token = z.strictObject({ version: z.literal(1), after: z.string().regex(SKU) });

/** The token of the page that begins after this SKU. */
export function toPageToken(after: string): string {
  return Buffer.from(JSON.stringify({ version: 1, after })).toString("base64url");
}

/**
 * The SKU that a page begins after; empty for the first page. Throws INVALID_PAGE_TOKEN for
 * everything that `toPageToken` never made.
 */
export function fromPageToken(token: string): string {
  if (token === "") return "";
  try {
    return Token.parse(JSON.parse(Buffer.from(token, "base64url").toString())).after;
  } catch {
    throw engineFailure(EngineReason.INVALID_PAGE_TOKEN, "The page token is not one of ours", {
      fieldViolations: [{ field: "page_token", description: "was never a next_page_token" }],
    });
  }
}
