import { EngineReason } from "@emporium/contracts/options/v1";
import { engineFailure } from "@emporium/grpc";

/**
 * Page and resume tokens: opaque to callers, readable by every replica, bound to what gave them out.
 *
 * A token is the base64url of a JSON list whose first element names the method and the version of
 * its layout, so that a token of another method, or of a layout that is no longer spoken, is refused
 * and not misread. Tokens say where a reader stands and grant nothing, so they are not signed.
 */
export type TokenKind = "ListOrders.1" | "WatchOrder.1" | "ExportOrders.1";

/**
 * Makes a token.
 *
 * @example
 * sealToken("WatchOrder.1", [orderId, "3"]);
 */
export function sealToken(kind: TokenKind, parts: readonly string[]): string {
  return Buffer.from(JSON.stringify([kind, ...parts])).toString("base64url");
}

/** The parts of a token; `undefined` when `sealToken` never made it for this kind. */
export function openToken(kind: TokenKind, token: string): string[] | undefined {
  const content = parse(Buffer.from(token, "base64url").toString());
  if (!Array.isArray(content) || !content.every((part) => typeof part === "string"))
    return undefined;
  const [foundKind, ...parts] = content;
  // Decoding forgives strange bits and characters; a token that does not come out the same is forged.
  return foundKind === kind && sealToken(kind, parts) === token ? parts : undefined;
}

/** Fails as every stream does for a resume token that it did not give out. */
export function invalidResumeToken(description: string): Error {
  return engineFailure(
    EngineReason.INVALID_RESUME_TOKEN,
    "The resume token is not of this stream",
    {
      fieldViolations: [{ field: "resume_token", description }],
    },
  );
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
